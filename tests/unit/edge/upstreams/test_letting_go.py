"""What tables of routes leave behind: nothing, once nobody holds them any more."""

import asyncio
import json
import weakref

import pytest

from edge.admission.door import Admission
from edge.admission.doorstep import Doorstep
from edge.discovery.table import Instance, InstanceTable
from edge.live.current import LiveRoutes
from edge.pipeline import equip, snapshot_of
from edge.routes import compiled
from edge.settings import Settings
from edge.upstreams.policy import Ejection, HttpPolicy
from edge.upstreams.upstreams import Upstreams
from edge.worker import make_worker
from tests.builders.gateway import SERVICE, a_gateway, a_route
from tests.builders.upstream import Upstream
from tests.builders.waiting import eventually_async
from tests.fakes.edge import collaborators

pytestmark = pytest.mark.anyio
THINGS, OTHERS = HttpPolicy(service="things"), HttpPolicy(service="others")


class Table:
    """As far as anybody holds it."""


class FakeWatch:
    def __init__(self):
        self.followed = set()

    def follow_also(self, services):
        self.followed = set(services)


def a_way(upstreams, service="things"):
    return [(way.route, way.policy.service) for way in upstreams.ways() if way.policy.service == service]


async def test_what_only_a_forgotten_table_led_to_is_let_go_of_and_all_else_stays():
    upstreams, told = Upstreams(), []
    upstreams.on_services = told.append
    table, next_table = Table(), Table()
    upstreams.follow(table, {"pass": THINGS, "both": OTHERS})
    gone, stays = upstreams.way("pass", THINGS), upstreams.way("both", OTHERS)
    upstreams.follow(next_table, {"both": OTHERS})

    upstreams.let_go()
    assert upstreams.way("pass", THINGS) is gone
    del table
    upstreams.let_go()

    assert list(upstreams.ways()) == [stays]
    assert upstreams.way("both", OTHERS) is stays
    assert told == [{"things", "others"}, {"things", "others"}, {"others"}]


async def test_tables_that_come_and_go_leave_nothing_behind():
    upstreams = Upstreams()
    for number in range(100):
        table = Table()
        policies = {f"way-{number}": HttpPolicy(service=f"service-{number}"), "same": HttpPolicy(
            service="same", ejection=Ejection(failures=number + 1), connections=number + 1)}  # fmt: skip
        upstreams.follow(table, policies)
        for name, policy in policies.items():
            upstreams.way(name, policy).outcomes["answered"] += 1
        upstreams.let_go()

    assert upstreams.names == {"service-99", "same"}
    assert {way.route for way in upstreams.ways()} == {"way-99", "same"}
    assert len(upstreams.service("same")._outliers) == 1
    assert upstreams.way("same", policies["same"]).outcomes["answered"] == 100


async def test_it_is_let_go_of_by_itself():
    upstreams = Upstreams()
    upstreams.follow(Table(), {"pass": THINGS})
    running = asyncio.create_task(upstreams.run(every=0.01))

    await eventually_async(lambda: not upstreams.names)

    running.cancel()


async def test_the_door_that_looks_at_heads_holds_no_table():
    live = LiveRoutes(snapshot_of(compiled(table_text(a_route())), "file"), compiling=snapshot_of)
    await live.follow(table_text(a_route("another")))
    doorstep, table = Doorstep(equip(live, collaborators())), weakref.ref(live.snapshot.table)

    doorstep._door(live.snapshot, "another")
    await live.follow(table_text(a_route("third")))

    assert table() is None
    assert doorstep._door(live.snapshot, "third")


async def test_a_request_under_an_older_table_has_its_own_way_and_spoils_nobody_elses():
    upstreams = Upstreams()
    table, next_table = Table(), Table()
    before, after = THINGS, HttpPolicy(service="things", connections=1)
    upstreams.follow(table, {"pass": before})
    upstreams.follow(next_table, {"pass": after})
    new = upstreams.way("pass", after)

    assert upstreams.way("pass", before) is not new
    assert upstreams.way("pass", after) is new


async def test_a_table_that_comes_again_counts_again():
    upstreams = Upstreams()
    table = Table()
    for _ in range(3):
        upstreams.follow(table, {"pass": THINGS})
        upstreams.follow(Table(), {"both": OTHERS})
        upstreams.let_go()

    assert upstreams.names == {"things"}


async def test_the_limit_of_a_service_goes_with_it_unless_somebody_is_there():
    admission = Admission()
    for name in ("catalog", "http.things", "http.others", "http.busy"):
        admission.limit_of(name)
    admission.limit_of("http.busy").enter()

    admission.keep_only_http({"others"})

    assert set(admission.state()) == {"catalog", "http.others", "http.busy"}


def leading(edge):
    """A worker that knows where the tables of this edge lead."""
    settings = Settings(amqp_url="amqp://127.0.0.1:1", redis_url="redis://127.0.0.1:1", cursor_secret="s" * 32)
    worker = make_worker(settings)
    worker.collaborators, worker.watch = edge.parts, FakeWatch()
    worker.serve_by(edge.client.live)
    return worker


def table_text(*routes):
    return json.dumps({"rates": {}, "routes": list(routes)})


async def test_a_request_under_way_keeps_its_service_until_it_has_ended_and_then_the_service_is_let_go(tmp_path):
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(_asked, _reader, writer):
        asked.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
        return True

    elsewhere = a_route("elsewhere", path="/elsewhere", http={"service": "others"})
    async with Upstream("a", slowly) as one, a_gateway(tmp_path, elsewhere) as edge:
        worker, upstreams = leading(edge), edge.parts.upstreams
        await edge.client.live.follow(table_text(a_route()))
        edge.there_are(one)
        under_way = asyncio.create_task(edge.client.get("/things/x"))
        await asked.wait()
        await edge.client.live.follow(table_text(elsewhere))
        upstreams.let_go()
        during = set(worker.watch.followed)
        new = await edge.client.get("/things/x")
        may_answer.set()
        old = await under_way

        def is_over():
            upstreams.let_go()
            return SERVICE not in worker.watch.followed

        await eventually_async(is_over, what="the end of the watch")
        await edge.client.live.follow(table_text(a_route()))
        again = await edge.client.get("/things/x")

    assert (old.status_code, old.text) == (200, "late")
    assert new.status_code == 404
    assert during == {SERVICE, "others"}
    assert (again.status_code, again.text) == (200, "late")
    assert worker.watch.followed == {SERVICE, "others"}


async def test_what_is_forgotten_is_asked_about_anew_when_it_comes_back():
    table = InstanceTable()
    table.replace("things", (Instance("a", "things", "127.0.0.1", 1),))
    table.forget("things")

    assert table.passing("things") == ()
    assert table.everybody() == []
    table.replace("things", (Instance("a", "things", "127.0.0.1", 1),))
    assert [one.id for one in table.passing("things")] == ["a"]
