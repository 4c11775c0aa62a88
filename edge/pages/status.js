// Asks /status.json every two seconds and shows what it says. Nothing else is loaded and nothing is kept.
"use strict";

const EVERY = 2000;
const PATIENCE = 5000;
const OLD = 7000;
const SVG = "http://www.w3.org/2000/svg";
const RANK = { closed: 0, half_open: 1, open: 2 };
const STATES = {
  ok: ["good", "✓", "ok"], passing: ["good", "✓", "passing"], closed: ["good", "✓", "closed"], serves: ["good", "✓", "serves"],
  degraded: ["fair", "!", "degraded"], warning: ["fair", "!", "warning"], half_open: ["fair", "!", "probing"],
  down: ["bad", "✗", "down"], critical: ["bad", "✗", "critical"], open: ["bad", "✗", "open"], leaving: ["fair", "!", "leaving"],
};
const VERDICTS = {
  ok: ["good", "✓ Everything works"],
  degraded: ["fair", "! Works, but something is wrong"],
  down: ["bad", "✗ Cannot serve"],
};

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

let heardAt = null;
let trouble = null;
let timer = null;
const shown = new Map();

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 100) return whole.format(Math.round(value));
  return value >= 10 ? tenth.format(value) : fine.format(value);
}

function percent(share) {
  return share === null || share === undefined ? "–" : `${tenth.format(100 * share)} %`;
}

function bytes(count) {
  const [size, unit] = count < 1e6 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${tenth.format(size)} ${unit}`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

function ago(iso, now) {
  return `${span(Math.max(0, (Date.parse(now) - Date.parse(iso)) / 1000))} ago`;
}

function tag(state, word) {
  const [kind, sign, name] = STATES[state] || ["", "?", state];
  return make("span", { class: `tag ${kind}` }, make("span", { "aria-hidden": "true" }, sign), word || name);
}

/** Draws a part again only when what it shows has changed, so that nothing moves under a reader's cursor. */
function part(name, value, show) {
  const text = JSON.stringify(value);
  if (shown.get(name) !== text) {
    shown.set(name, text);
    show(value);
  }
}

function rows(id, lines) {
  const heads = [...at(id).closest("table").querySelectorAll("thead th")];
  at(id).replaceChildren(
    ...lines.map((cells) =>
      make("tr", null, ...cells.map((cell, index) => {
        if (index === 0) return make("th", { scope: "row" }, cell);
        const empty = cell === null || cell === "";
        const attributes = { "data-label": heads[index].textContent };
        const classes = [heads[index].classList.contains("number") ? "number" : "", empty ? "none" : ""];
        attributes.class = classes.join(" ").trim();
        return make("td", attributes, empty ? "" : cell);
      })),
    ),
  );
}

function facts(id, pairs) {
  at(id).replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", null, name), make("dd", null, value)]));
}

function tile(id, value, unit, note) {
  at(`tile-${id}`).replaceChildren(value, ...(unit && value !== "–" ? [make("small", null, unit)] : []));
  at(`note-${id}`).textContent = note || "\u00a0";
}

function nice(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((by) => by * step).find((by) => by >= value);
}

/** The points as a path; a slot without a value is a gap. A lone point is drawn as a dot by the round line end. */
function path(values, most) {
  let open = false;
  const last = values.length - 1;
  return values.map((value, index) => {
    if (value === null) { open = false; return ""; }
    const point = `${(300 * index / last).toFixed(2)} ${(100 - 100 * Math.min(1, value / most)).toFixed(2)}`;
    const piece = open ? `L${point}` : `M${point}h0.01`;
    open = true;
    return piece;
  }).join("");
}

function chart(id, { first, second, unit, seconds, said }) {
  const known = [...first, ...second].filter((value) => value !== null);
  const highest = Math.max(0, ...known);
  const figure = at(id);
  const axis = make("figcaption", { class: "axis" },
    make("span", null, `${Math.round(first.length * seconds / 60)} minutes ago`), make("span", null, "now"));
  if (highest === 0) {
    figure.replaceChildren(make("div", { class: "plot" }, make("p", { class: "nothing" }, "No requests in these minutes")), axis);
    return;
  }
  const most = nice(highest);
  const svg = draw("svg", { viewBox: "0 0 300 100", preserveAspectRatio: "none", role: "img", "aria-label": said });
  for (const height of [0.5, 50]) svg.append(draw("path", { class: "grid", d: `M0 ${height}H300` }));
  if (first.every((value) => value !== null)) {
    svg.append(draw("path", { class: "area", d: `${path(first, most)}L300 100L0 100Z` }));
  }
  svg.append(draw("path", { class: "line first", d: path(first, most) }));
  if (second.some((value) => value)) svg.append(draw("path", { class: "line second", d: path(second, most) }));
  figure.replaceChildren(
    make("div", { class: "plot" }, make("span", { class: "top" }, `${number(most)} ${unit}`), svg), axis);
}

function breaker(one, workers) {
  const of = workers > 1 && one.state !== "closed" ? ` in ${one.workers} of ${workers}` : "";
  return tag(one.state, `${STATES[one.state] ? STATES[one.state][2] : one.state}${of}`);
}

/** Why a breaker is not closed, and since when. */
function why({ breaker: one }) {
  if (one.state === "closed" && !one.held) return null;
  const reason = one.reason || (one.held ? `held ${one.held} by an operator` : "");
  const since = one.for_seconds === null ? "" : `for ${span(one.for_seconds)}`;
  return make("span", { class: "why" }, [reason, since].filter(Boolean).join(", "));
}

function showTraffic(told) {
  const { traffic, services, cache } = told;
  tile("rate", number(traffic.rate), "per second", `${whole.format(traffic.total)} since the start`);
  tile("failed", percent(traffic.failed_share), "", `${percent(traffic.refused_share)} refused`);
  tile("p50", number(traffic.p50_ms), "ms", "in the last 30 s");
  tile("p99", number(traffic.p99_ms), "ms", "in the last 30 s");
  tile("hits", percent(cache.hit_share), "", `${whole.format(cache.entries)} answers kept`);
  const flying = services.reduce((sum, one) => sum + one.in_flight, 0);
  tile("flight", whole.format(flying), flying === 1 ? "call" : "calls", `${whole.format(services.reduce((sum, one) => sum + one.waiting, 0))} waiting`);
  const { rate, failed, p50_ms: half, p99_ms: most } = traffic.series;
  chart("chart-rate", { first: rate, second: failed, unit: "per second", seconds: traffic.slot_seconds,
    said: `Requests per second in the last minutes: ${number(traffic.rate)} now, ${number(Math.max(...rate))} at most.` });
  chart("chart-latency", { first: half, second: most, unit: "ms", seconds: traffic.slot_seconds,
    said: `Time to answer: half within ${number(traffic.p50_ms)} ms, 99 % within ${number(traffic.p99_ms)} ms.` });
}

function showServices({ services, workers }) {
  rows("rows-services", services.map((one) => {
    const { lane, admission, instances } = one;
    const passing = instances ? instances.passing : one.consumers;
    const listening = passing === null ? "not known" : instances ? `${passing} of ${instances.known} pass` : `${passing} listening`;
    const shed = admission ? Object.entries(admission.shed).filter(([, count]) => count) : [];
    return [
      one.name,
      passing === 0 ? tag("critical", listening) : listening,
      make("div", null, breaker(one.breaker, workers), why(one)),
      whole.format(one.in_flight),
      whole.format(one.waiting),
      lane ? whole.format(lane.frames) : "–",
      lane && lane.median_batch !== null ? whole.format(lane.median_batch) : "–",
      admission ? whole.format(admission.limit) : "–",
      shed.length ? shed.map(([name, count]) => `${whole.format(count)} ${name}`).join(", ") : "none",
    ];
  }));
}

function showMethods({ services, workers }) {
  const all = services.flatMap((service) => [
    { name: `${service.name} (whole)`, ...service }, ...service.methods.map((one) => ({ ...one, name: `${service.name}.${one.name}` }))]);
  all.sort((one, other) => (RANK[other.breaker.state] ?? 2) - (RANK[one.breaker.state] ?? 2));
  const open = all.filter((one) => one.breaker.state !== "closed").length;
  at("count-methods").textContent = open ? `· ${open} of ${all.length} not closed` : `· all ${all.length} closed`;
  rows("rows-methods", all.map((one) => [
    one.name,
    breaker(one.breaker, workers),
    one.breaker.for_seconds === null ? "the start" : `${span(one.breaker.for_seconds)} ago`,
    one.breaker.reason || (one.breaker.held ? `held ${one.breaker.held} by an operator` : null),
    whole.format(one.in_flight),
  ]));
}

function showInstances(instances) {
  at("no-instances").hidden = instances !== null;
  at("table-instances").hidden = instances === null;
  at("no-instances").textContent = "This edge works without Consul, so it knows services only by who listens to their queues.";
  at("count-instances").textContent = instances === null ? "· no Consul" : `· ${instances.length} known to Consul`;
  rows("rows-instances", (instances || []).map((one) => [one.id, one.service, tag(one.status), one.version || null]));
}

function showOutside(http) {
  const names = Object.entries(http);
  at("outside").hidden = names.length === 0;
  rows("rows-outside", names.map(([name, one]) => [name, ...["passing", "ejected", "in_flight", "retries"].map((key) => whole.format(one[key] || 0))]));
}

function showDependencies(dependencies) {
  const names = { broker: "RabbitMQ", redis: "Redis", consul: "Consul", limits: "Shared limits" };
  facts("facts-dependencies", [
    ...Object.entries(dependencies).map(([name, state]) => [names[name] || name, tag(state)]),
    ...(dependencies.consul ? [] : [["Consul", "not used"]]),
  ]);
}

function showCache(cache) {
  facts("facts-cache", [
    ["Hits", whole.format(cache.hit)],
    ["Stale", whole.format(cache.stale)],
    ["Misses", whole.format(cache.miss)],
    ["Joined", whole.format(cache.collapsed)],
    ["Kept", `${bytes(cache.bytes)} of ${bytes(cache.room)}`],
    ["Purges", whole.format(cache.purges)],
  ]);
}

function showLimits({ limits, workers }) {
  const refused = Object.entries(limits.refused).filter(([, count]) => count);
  facts("facts-limits", [
    ["Judged", limits.local_workers ? tag("degraded", `alone by ${limits.local_workers} of ${workers}`) : tag("ok", "together")],
    ["With Redis", whole.format(limits.checks.shared || 0)],
    ["Alone", whole.format(limits.checks.local || 0)],
    ...(refused.length ? refused.map(([name, count]) => [`Refused by ${name}`, whole.format(count)]) : [["Refused", "0"]]),
  ]);
}

function showRoutes({ routes, versions, minute }) {
  const origins = { file: "this edge's file", kept: "the last good one, kept", consul: "Consul" };
  facts("facts-routes", [
    ["Version", make("code", null, routes.version)],
    ["From", origins[routes.origin] || routes.origin],
    ["Since", ago(routes.since, minute)],
    ["Routes", whole.format(routes.count)],
    ...(versions > 1 ? [["Workers", tag("degraded", "not all the same")]] : []),
  ]);
  const { refused } = routes;
  at("refused").replaceChildren(...(refused === null ? [] : [
    tag("degraded", "Another table was refused"),
    make("p", { class: "note" }, `Version ${refused.version}, ${ago(refused.since, minute)}:`),
    make("ul", null, ...refused.faults.map((fault) => make("li", null, fault)),
      refused.more ? make("li", null, `and ${refused.more} more`) : null),
  ]));
}

function showWorkers({ workers, minute }) {
  rows("rows-workers", workers.map((one) => [
    one.told_this ? `${one.name} (told you this)` : one.name,
    tag(one.ready ? "serves" : "leaving"),
    ago(one.since, minute),
    whole.format(one.requests),
    whole.format(one.connections),
    `${number(one.lag_ms)} ms`,
  ]));
}

function show(told) {
  const [kind, words] = VERDICTS[told.verdict] || ["bad", told.verdict];
  part("verdict", told.verdict, () => {
    at("verdict").className = `verdict ${kind}`;
    at("verdict").textContent = words;
    document.title = `${words.slice(0, 1)} Status · Kirana`;
  });
  const workers = told.workers.length;
  at("told").dataset.words = `Edge ${told.instance} · ${workers === 1 ? "one worker" : `worker ${told.told_by} tells for all ${workers} workers`}`;
  showTraffic(told);
  part("services", { services: told.services.map(({ methods, ...one }) => one), workers }, showServices);
  part("methods", { services: told.services, workers }, showMethods);
  part("instances", told.instances, showInstances);
  part("outside", told.http_services, showOutside);
  part("dependencies", told.dependencies, showDependencies);
  part("cache", told.cache, showCache);
  part("limits", { limits: told.limits, workers }, showLimits);
  part("routes", { routes: told.routes, versions: told.table_versions, minute: told.at }, showRoutes);
  part("workers", { workers: told.workers, minute: told.at }, showWorkers);
  at("silent").textContent = told.silent_workers ? `${told.silent_workers} more did not answer in time and are not counted here.` : "";
  at("page").setAttribute("aria-busy", "false");
}

function age() {
  const old = heardAt === null ? null : performance.now() - heardAt;
  const stale = trouble !== null || (old !== null && old > OLD);
  if (old !== null) {
    at("told").textContent = `${at("told").dataset.words} · ${old < 1500 ? "just now" : `${span(old / 1000)} ago`}`;
  }
  at("page").classList.toggle("old", stale && heardAt !== null);
  at("notice").hidden = !stale;
  if (stale) {
    const words = trouble || "No news from the edge.";
    if (at("notice").textContent !== words) at("notice").textContent = words;
  }
}

async function ask() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/status.json", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.ok) {
      show(await answer.json());
      heardAt = performance.now();
      trouble = null;
    } else {
      trouble = { 403: "These figures are not given to your address.", 429: "Too many requests from your address; asking again shortly." }[answer.status]
        || `The edge answered ${answer.status}.`;
    }
  } catch {
    trouble = "The edge does not answer. Asking again every two seconds.";
  }
  age();
  if (!document.hidden) timer = setTimeout(ask, EVERY);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
setInterval(age, 1000);
ask();
