"""Whatever a table looks like: it is taken as it stands, or refused with the line, and then nothing has changed."""

import asyncio
import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.live.current import LiveRoutes
from edge.pipeline import STAGES, snapshot_of
from edge.policies import RateClass
from edge.routes import compiled
from edge.settings import PACKAGED_ROUTES

NAMES = {"get_profile", "log_in", "get_product", "update_product", "get_cart", "place_order", "ready", "put_config"}
PACKAGED = yaml.safe_load(PACKAGED_ROUTES.read_text())
BASE = {"rates": PACKAGED["rates"], "routes": [route for route in PACKAGED["routes"] if route["name"] in NAMES]}
BASE_TEXT = yaml.safe_dump(BASE, sort_keys=False)
FILE = snapshot_of(compiled(BASE_TEXT), "file")
WORDS = [
    "auth",
    "limits",
    "scopes",
    "none",
    "optional",
    "required",
    "browse",
    "address",
    "caller",
    "GET",
    "call",
    "local",
]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""As the edge has it: libyaml takes a tab in places where PyYAML's own reader does not."""

STAGE_NAMES = {stage.__name__ for stage in STAGES}

values = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from([None, True, 0, 1, -1, 60, 1e9, "", "x", [], {}, ["edge:admin"], {"address": "browse"}]),
    st.text(max_size=8),
)


def places(data, at=()):
    """Every place in the data, from the outside in."""
    yield at
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, part in parts:
        yield from places(part, (*at, name))


PLACES = [place for place in places(BASE) if place]


@st.composite
def changed_tables(draw):
    """The base with one to three words changed, removed, added or renamed."""
    data = json.loads(json.dumps(BASE))
    for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        *way, last = place
        around = data
        try:
            for step in way:
                around = around[step]
            change(draw, around, last)
        except (AttributeError, KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def change(draw, around, last):
    match draw(st.sampled_from(["set", "remove", "rename", "add"])):
        case "set":
            around[last] = draw(values)
        case "remove":
            del around[last]
        case "rename" if isinstance(around, dict):
            around[draw(st.sampled_from(WORDS) | st.text(max_size=8))] = around.pop(last)
        case _ if isinstance(around, dict):
            around[draw(st.sampled_from(WORDS))] = draw(values)
        case _:
            around.append(draw(values))


@st.composite
def damaged_texts(draw):
    """The base's text with a piece cut out, and something else in its place."""
    start = draw(st.integers(0, len(BASE_TEXT)))
    end = draw(st.integers(start, min(len(BASE_TEXT), start + 60)))
    return BASE_TEXT[:start] + draw(st.text(max_size=6)) + BASE_TEXT[end:]


def stages_of(way):
    """The stages that are really on a compiled way, found in it."""
    names = []
    while (cells := getattr(way, "__closure__", None)) is not None:
        inside = {getattr(cell.cell_contents, "__name__", ""): cell.cell_contents for cell in cells}
        stage = next((name for name in inside if name in STAGE_NAMES), None)
        variables = dict(zip(way.__code__.co_freevars, (cell.cell_contents for cell in cells), strict=True))
        if "proceed" not in variables:
            break
        names.append(stage)
        way = variables["proceed"]
    return names


def assert_served_as_declared(snapshot, data):
    declared = {route["name"]: route for route in data["routes"]}
    served = {route.policy.name: route for route in snapshot.table.routes}
    assert declared.keys() <= served.keys()
    assert len(snapshot.table.routes) == len(served) == len(snapshot.ways)
    assert {served[name].policy.local for name in served.keys() - declared.keys()} <= {"alive", "serving", "ready"}
    for route in (served[name] for name in declared):
        said = declared[route.policy.name]
        stages = stages_of(snapshot.ways[route.policy.name])
        limits = said["limits"] or {}
        assert route.policy.auth == said["auth"]
        assert ("authenticate" in stages) == (said["auth"] != "none")
        assert ("authorize" in stages) == (said["auth"] != "none")
        assert route.policy.scopes == said.get("scopes", [])
        for word, stage, rate in (
            ("address", "limit_rate_by_address", route.by_address),
            ("caller", "limit_rate_by_caller", route.by_caller),
        ):
            name = limits.get(word)
            assert (stage in stages) == (name is not None)
            assert (rate and rate.rate) == (None if name is None else RateClass(**data["rates"][name]))


@settings(max_examples=150)
@given(changed_tables() | damaged_texts())
def test_a_table_is_taken_as_it_stands_or_refused_with_the_line_and_then_nothing_has_changed(text):
    live = LiveRoutes(FILE, compiling=snapshot_of)

    asyncio.run(live.follow(text))

    if live.refusal is None:
        assert_served_as_declared(live.snapshot, yaml.load(text, Loader=LOADER))
    else:
        assert live.snapshot is FILE
        assert live.refusal.faults
        assert all(fault.line for fault in live.refusal.faults)


def test_the_base_itself_is_served_as_declared():
    assert_served_as_declared(FILE, BASE)
