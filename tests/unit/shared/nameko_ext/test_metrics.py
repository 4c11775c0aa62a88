from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import eventlet

from shared.contracts.events import ORDER_PLACED
from shared.nameko_ext.asking import Asking
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.container import ServiceContainer
from shared.nameko_ext.database import Database
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.loading import Loaded
from shared.nameko_ext.metrics import ContainerState
from shared.nameko_ext.outbox import Outbox
from shared.nameko_ext.requests import Requests
from shared.resilience.breaker import BreakerState

UP, DOWN = SimpleNamespace(is_open=True), SimpleNamespace(is_open=False)


class FakeOutbox(Outbox):
    def __init__(self, oldest_seconds):
        self.age = oldest_seconds

    link = UP
    oldest_seconds = property(lambda self: self.age)


def a_door(method_name, link):
    door = EventDoor(ORDER_PLACED)
    door.method_name, door.consumer = method_name, SimpleNamespace(link=link)
    return door


def an_asking(**facts):
    nothing = {"links": {}, "lanes": {}, "guards": {}, "late_replies": 0, "expired_messages": 0}
    return SimpleNamespace(**nothing | facts)


def samples(*, extensions=None, dependencies=(), doors=(), workers=0, waiting=0):
    container = SimpleNamespace(
        service_name="order",
        shared_extensions=extensions or {},
        dependencies=list(dependencies),
        entrypoints=list(doors),
        in_hand=workers,
        waiting=waiting,
        max_workers=64,
    )
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in ContainerState(container).collect()
        for sample in family.samples
    }


def test_each_link_to_the_broker_is_told_by_what_it_is_for():
    extensions = {
        Requests: SimpleNamespace(
            consumer=SimpleNamespace(link=UP),
            replies=SimpleNamespace(counts=Counter(), frame_sizes=Counter()),
            counts=Counter(),
        ),
        Broker: SimpleNamespace(publisher=SimpleNamespace(link=DOWN)),
        Asking: an_asking(links={"asking": True, "looking": False}, late_replies=2),
    }

    found = samples(extensions=extensions, dependencies=[FakeOutbox(0.0)], doors=[a_door("on_order_placed", DOWN)])

    links = {name[1]: value for name, value in found.items() if name[0] == "kirana_broker_connected"}
    assert found["kirana_rpc_late_replies_total",] == 2
    assert links == {
        "requests": 1,
        "publisher": 0,
        "asking": 1,
        "looking": 0,
        "outbox": 1,
        "on_order_placed": 0,
    }


def test_calls_and_replies_are_told_as_the_requests_keep_them():
    replies = SimpleNamespace(counts=Counter(dropped=3), frame_sizes=Counter({2: 4}))
    requests = SimpleNamespace(consumer=SimpleNamespace(link=UP), replies=replies, counts=Counter(given_up=2))

    found = samples(extensions={Requests: requests}, workers=5, waiting=7)

    assert found["kirana_rpc_in_flight", "order", "server"] == 5
    assert found["kirana_rpc_in_flight_limit", "order", "server"] == 64
    assert found["kirana_rpc_waiting", "order", "server"] == 7
    assert found["kirana_rpc_replies_dropped_total", "order"] == 3
    assert found["kirana_calls_given_up_total", "order"] == 2
    assert found["kirana_rpc_batch_size_sum", "reply", "order"] == 8


def test_calls_to_other_services_are_told_as_their_lanes_and_breakers_keep_them():
    machine = SimpleNamespace(in_flight=2, waiting=1, batch_sizes=Counter({3: 2}), counts=Counter(shared=4, late=3))
    asking = an_asking(
        late_replies=5,
        expired_messages=6,
        lanes={"catalog": SimpleNamespace(coalescer=SimpleNamespace(machine=machine))},
        guards={"catalog": SimpleNamespace(state=BreakerState.OPEN)},
    )

    found = samples(extensions={Asking: asking})

    assert found["kirana_rpc_late_replies_total",] == 8
    assert found["kirana_rpc_expired_total",] == 6
    assert found["kirana_rpc_in_flight", "catalog", "caller"] == 2
    assert found["kirana_rpc_waiting", "catalog", "caller"] == 1
    assert found["kirana_rpc_batch_size_sum", "request", "catalog"] == 6
    assert found["kirana_rpc_shared_total", "catalog"] == 4
    assert found["kirana_rpc_breaker_state", "catalog"] == 2


def test_reads_that_met_are_told_by_what_they_asked_for():
    container = ServiceContainer(type("Service", (), {"name": "order"}))
    loaded = Loaded(lambda _session, keys: {key: f"row {key}" for key in keys}).bind(container, "order_rows")
    loaded.database = SimpleNamespace(scope=SimpleNamespace(reading=nullcontext))
    loaded.setup()
    get = loaded.get_dependency(None)

    reading = [eventlet.spawn(get, key) for key in range(5)]

    assert [each.wait() for each in reading] == [f"row {key}" for key in range(5)]
    found = samples(dependencies=[loaded])
    assert found["kirana_read_batch_size_count", "order_rows", "order"] == 1
    assert found["kirana_read_batch_size_sum", "order_rows", "order"] == 5
    loaded.stop()


def test_connections_to_the_database_are_told_as_the_pool_has_them():
    pool = SimpleNamespace(checkedout=lambda: 3, checkedin=lambda: 2, size=lambda: 15)
    database = SimpleNamespace(engine=SimpleNamespace(pool=pool), scope=SimpleNamespace(waiting=4))

    found = samples(extensions={Database: database})

    assert found["kirana_database_connections", "order", "used"] == 3
    assert found["kirana_database_connections", "order", "idle"] == 2
    assert found["kirana_database_connections_limit", "order"] == 15
    assert found["kirana_database_waiting", "order"] == 4


def test_only_the_replica_that_relays_tells_the_outboxs_age():
    assert samples(dependencies=[FakeOutbox(12.5)])["kirana_outbox_oldest_seconds", "order"] == 12.5
    assert ("kirana_outbox_oldest_seconds", "order") not in samples(dependencies=[FakeOutbox(None)])


def test_a_service_without_doors_for_calls_tells_the_rest():
    assert samples(doors=[a_door("on_order_placed", UP)]) == {("kirana_broker_connected", "on_order_placed"): 1}


def test_an_idle_container_has_nobody_at_work_and_nothing_waiting():
    container = ServiceContainer(type("Service", (), {"name": "order"}))

    assert (container.in_hand, container.waiting) == (0, 0)
    assert list(ContainerState(container).collect())
