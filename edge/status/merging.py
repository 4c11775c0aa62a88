"""Makes one picture of an edge out of what its workers told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edge.status.history import SLOT_SECONDS, SLOTS, number_at, percentile

RATE_SLOTS = 5
"""The request rate is that of the last ten whole seconds."""

LATENCY_SLOTS = 15
"""Shares and percentiles at the head are those of the last thirty."""

WORSE = {"ok": 0, "closed": 0, "half_open": 1, "degraded": 1, "open": 2, "down": 2}
PASSING = "passing"

Json = dict[str, Any]


def merged(own: Json, others: Sequence[Json], *, silent: int, wall: float) -> Json:
    """``own`` is the worker that was asked; ``silent`` is how many of its siblings did not tell."""
    all_told = [own, *others]
    dependencies = _worst(each["dependencies"] for each in all_told)
    services = _services(all_told, own["instances"])
    ready = sum(each["ready"] for each in all_told)
    return {
        "at": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
        "told_by": own["worker"],
        "instance": own["instance"],
        "silent_workers": silent,
        "verdict": _verdict(dependencies, services, ready=ready),
        "ready": ready,
        "workers": sorted((_worker(each, own) for each in all_told), key=lambda one: str(one["name"])),
        "dependencies": dependencies,
        "traffic": traffic(all_told, wall),
        "services": services,
        "http_services": _summed_by_name(each["upstreams"] for each in all_told),
        "http_breakers": _worst(each["ways"] for each in all_told),
        "instances": own["instances"],
        "cache": _cache(each["cache"] for each in all_told),
        "limits": _limits([each["limits"] for each in all_told]),
        "edge_admission": _admission(all_told, "edge"),
        "routes": own["routes"],
        "table_versions": len({each["routes"]["version"] for each in all_told}),
    }


def traffic(all_told: Iterable[Json], wall: float) -> Json:
    """Rates and latencies, now and slot by slot; the slot that has only begun is left out."""
    tellers = list(all_told)
    last = number_at(wall) - 1
    numbers = range(last - SLOTS + 2, last + 1)
    slots: dict[int, tuple[int, int, Counter[int]]] = {}
    for each in tellers:
        for number, refused, failed, latency in each["history"]:
            before = slots.get(number, (0, 0, Counter()))
            before[2].update({int(at): count for at, count in latency.items()})
            slots[number] = (before[0] + refused, before[1] + failed, before[2])
    empty: tuple[int, int, Counter[int]] = (0, 0, Counter())
    line = [slots.get(number, empty) for number in numbers]
    recent = line[-LATENCY_SLOTS:]
    latency = sum((part for _, _, part in recent), Counter[int]())
    total = latency.total()
    return {
        "slot_seconds": SLOT_SECONDS,
        "total": sum(each["requests"] for each in tellers),
        "rate": round(sum(part.total() for _, _, part in line[-RATE_SLOTS:]) / (RATE_SLOTS * SLOT_SECONDS), 2),
        "failed_share": _share(sum(failed for _, failed, _ in recent), total),
        "refused_share": _share(sum(refused for refused, _, _ in recent), total),
        "p50_ms": percentile(latency.items(), 0.5),
        "p99_ms": percentile(latency.items(), 0.99),
        "series": {
            "rate": [round(part.total() / SLOT_SECONDS, 2) for _, _, part in line],
            "failed": [round(failed / SLOT_SECONDS, 2) for _, failed, _ in line],
            "p50_ms": [percentile(part.items(), 0.5) for _, _, part in line],
            "p99_ms": [percentile(part.items(), 0.99) for _, _, part in line],
        },
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _worst(states: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """By name, the worst that any worker sees."""
    worst: dict[str, str] = {}
    for each in states:
        for name, state in each.items():
            if name not in worst or WORSE.get(state, 2) > WORSE.get(worst[name], 2):
                worst[name] = state
    return worst


def _verdict(dependencies: Mapping[str, str], services: Sequence[Json], *, ready: int) -> str:
    if not ready:
        return "down"
    troubled = any(state != "ok" for state in dependencies.values())
    broken = any(one["breaker"]["state"] != "closed" or one["consumers"] == 0 for one in services)
    return "degraded" if troubled or broken else "ok"


def _worker(told: Json, own: Json) -> Json:
    mine = {"told_this": told is own, "name": told["worker"]}
    return mine | {key: told[key] for key in ("since", "ready", "requests", "connections", "lag_ms")}


def _services(all_told: Sequence[Json], instances: Sequence[Json] | None) -> list[Json]:
    names = dict.fromkeys(name for each in all_told for name in each["services"])
    return [_service(name, all_told, instances) for name in names]


def _service(name: str, all_told: Sequence[Json], instances: Sequence[Json] | None) -> Json:
    seen = [each["services"][name] for each in all_told if name in each["services"]]
    counts = [one["consumers"] for one in seen if one.get("consumers") is not None]
    known = None if instances is None else [one["status"] for one in instances if one["service"] == name]
    methods = dict.fromkeys(method for one in seen for method in one.get("methods", {}))
    return {
        "name": name,
        "consumers": max(counts) if counts else None,
        "instances": None if known is None else {"known": len(known), PASSING: known.count(PASSING)},
        "breaker": _breaker(seen),
        "in_flight": sum(one.get("in_flight", 0) for one in seen),
        "waiting": sum(one.get("waiting", 0) for one in seen),
        "lane": _lane([one["lane"] for one in seen if one["lane"] is not None]),
        "admission": _admission(all_told, name),
        "methods": [
            {
                "name": method,
                "breaker": _breaker([one["methods"][method] for one in seen if method in one.get("methods", {})]),
                "in_flight": sum(one.get("methods", {}).get(method, {}).get("in_flight", 0) for one in seen),
            }
            for method in sorted(methods)
        ],
    }


def _breaker(seen: Sequence[Json]) -> Json:
    """The worst of all workers', and how many of them have it so."""
    worst = max(seen, key=lambda one: WORSE.get(one["breaker"], 2))
    return {
        "state": worst["breaker"],
        "workers": sum(one["breaker"] == worst["breaker"] for one in seen),
        "reason": worst.get("reason", ""),
        "held": worst.get("held"),
        "retry_after": worst.get("retry_after", 0.0),
        "for_seconds": worst.get("for_seconds"),
    }


def _lane(lanes: Sequence[Json]) -> Json | None:
    if not lanes:
        return None
    sizes: Counter[int] = Counter()
    for lane in lanes:
        sizes.update({int(size): times for size, times in lane["batches"].items()})
    return {
        **{key: sum(lane[key] for lane in lanes) for key in ("in_flight", "waiting", "shared")},
        "frames": sizes.total(),
        "median_batch": _median(sizes),
    }


def _median(sizes: Counter[int]) -> int | None:
    rank = sizes.total() / 2
    for size in sorted(sizes):
        rank -= sizes[size]
        if rank <= 0 and sizes[size]:
            return size
    return None


def _admission(all_told: Iterable[Json], name: str) -> Json | None:
    seen = [each["admission"][name] for each in all_told if name in each["admission"]]
    if not seen:
        return None
    shed: Counter[str] = Counter()
    for one in seen:
        shed.update(one["shed"])
    return {
        "limit": sum(one["limit"] for one in seen),
        "in_flight": sum(one["in_flight"] for one in seen),
        "shed": shed,
    }


def _summed_by_name(told: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """Figures of what all workers share (instances) are taken once, those of each are added up."""
    summed: dict[str, Json] = {}
    for each in told:
        for name, figures in each.items():
            before = summed.setdefault(name, {})
            for key, value in figures.items():
                at_once = key in {PASSING, "ejected"}
                before[key] = max(before.get(key, 0), value) if at_once else before.get(key, 0) + value
    return summed


def _cache(told: Iterable[Json]) -> Json:
    summed: Counter[str] = Counter()
    for each in told:
        summed.update(each)
    given = summed["hit"] + summed["stale"] + summed["collapsed"]
    asked = given + summed["miss"]
    return {**summed, "hit_share": round(given / asked, 4) if asked else None}


def _limits(told: Sequence[Json]) -> Json:
    checks: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for each in told:
        checks.update(each["checks"])
        refused.update(each["refused"])
    return {"local_workers": sum(each["is_local"] for each in told), "checks": checks, "refused": refused}
