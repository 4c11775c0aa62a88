import asyncio

import pytest
from msgspec import field

from edge.faults import BadRoutes
from edge.pipeline import snapshot_of
from edge.plugins import Options, Plugin, Request, Response
from edge.routes import compiled
from tests.builders.tables import a_route, table_text
from tests.fakes.edge import FakeRpc

pytestmark = pytest.mark.anyio


class Count(Options, frozen=True, kw_only=True):
    """How often, and of what."""

    times: int
    words: list[str] = field(default_factory=list)


def make(_options, _settings):
    async def passing(request, proceed):
        return await proceed(request)

    return passing


def a_plugin(**changes):
    return Plugin(**({"place": "around the target", "make": make} | changes))


def faults_of(*plugins):
    with pytest.raises(BadRoutes) as refused:
        compiled(table_text(a_route(plugins=list(plugins))))
    assert refused.value.code == 78
    return refused.value.faults


def test_a_plugin_that_is_not_installed_is_a_fault_at_its_line():
    (fault,) = faults_of({"name": "api-key"})
    text = table_text(a_route(plugins=[{"name": "api-key"}]))

    assert "no installed package offers a plugin 'api-key'" in str(fault)
    assert fault.pointer == "/routes/0/plugins/0/name"
    assert text.splitlines()[fault.line - 1].strip() == "- name: api-key"


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({}, ["/plugins/0/options/times: This field is required."]),
        ({"times": "3"}, ["/plugins/0/options/times: "]),
        ({"times": 1, "colour": "red", "words": [1]}, ["/plugins/0/options/colour: ", "/plugins/0/options/words/0: "]),
    ],
    ids=["missing", "wrong", "several"],
)
def test_options_that_it_does_not_take_are_faults_each_at_its_place(packages, options, reasons):
    packages.offer(count=a_plugin(options=Count))

    faults = faults_of({"name": "count", "options": options})

    assert [reason in fault.detail for fault, reason in zip(faults, reasons, strict=True)] == [True] * len(reasons)


def test_options_where_there_are_none_are_a_fault(packages):
    packages.offer(plain=a_plugin())

    (fault,) = faults_of({"name": "plain", "options": {"times": 1}})

    assert fault.pointer == "/routes/0/plugins/0/options/times"


def test_what_is_named_twice_on_a_route_is_a_fault(packages):
    packages.offer(plain=a_plugin())

    (fault,) = faults_of({"name": "plain"}, {"name": "plain", "options": {}})

    assert "named twice" in str(fault)


@pytest.mark.parametrize("name", ["Api-Key", "../x", "a b", "", "x\n"], ids=["case", "path", "space", "empty", "feed"])
def test_a_name_that_can_be_none_is_a_fault(name):
    assert faults_of({"name": name})


def test_what_cannot_be_loaded_or_is_no_plugin_is_a_fault(packages):
    packages.offer(thing=object())
    packages.point({"gone": "no_such_module:plugin"})

    assert "is no edge.plugins.Plugin" in str(faults_of({"name": "thing"})[0])
    assert "cannot be loaded" in str(faults_of({"name": "gone"})[0])


def test_one_that_wants_to_leave_when_it_is_loaded_is_a_fault_as_any(packages, tmp_path):
    (tmp_path / "leaving_at_once.py").write_text("raise SystemExit(1)\n")
    packages.monkeypatch.syspath_prepend(tmp_path)
    packages.point({"leaving": "leaving_at_once:plugin"})

    assert "cannot be loaded: SystemExit(1)" in str(faults_of({"name": "leaving"})[0])


def test_a_name_that_two_packages_offer_is_a_fault(packages):
    packages.offer(plain=a_plugin())
    packages.offer(plain=a_plugin())

    assert "several packages offer a plugin 'plain'" in str(faults_of({"name": "plain"})[0])


def test_a_plugin_that_does_not_want_to_work_keeps_the_table_from_coming_into_force(packages):
    def unwilling(_options, settings):
        return settings["FILE"]

    packages.offer(plain=a_plugin(make=unwilling))
    table = compiled(table_text(a_route(plugins=[{"name": "plain"}])))

    with pytest.raises(BadRoutes, match="get_product: /plugins: the plugin 'plain' cannot be made: KeyError"):
        snapshot_of(table, "file")


async def test_a_live_table_with_a_plugin_that_is_not_there_is_refused_and_the_old_one_stays(packages, an_edge):
    packages.offer(plain=a_plugin())
    async with an_edge(a_route(), rpc=FakeRpc(get_product={"id": 7})) as client:
        before = client.live.snapshot
        await client.live.follow(table_text(a_route(plugins=[{"name": "absent"}])))
        refused, kept = client.live.refusal, client.live.snapshot
        await client.live.follow(table_text(a_route(plugins=[{"name": "plain"}])))
        answered = await client.get("/api/products/7")

    assert "'absent'" in str(refused.faults[0])
    assert kept is before
    assert client.live.snapshot is not before
    assert answered.status_code == 200


@pytest.mark.parametrize("changes", [{"place": "anywhere"}, {"problems": ("bakery.closed",)}], ids=["place", "problem"])
def test_a_plugin_that_there_cannot_be_is_not_made(changes):
    with pytest.raises(ValueError, match="there is no"):
        a_plugin(**changes)


def test_a_plugin_needs_no_edge_to_be_tried():
    stage = make(None, {})

    async def proceed(request):
        return Response(request.path.encode())

    answered = asyncio.run(stage(Request(path="/x"), proceed))

    assert asyncio.run(answered.read()) == b"/x"
