"""What the private servers promise, on real ones."""

import json
import os
import urllib.request
from base64 import b64encode
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from amqp import Connection, Message
from amqp.exceptions import AccessRefused, NotAllowed

from kirana.broker_definitions import main as give_definitions
from kirana.stack import readiness
from kirana.stack.definitions import CALLS, TEMPLATE
from kirana.stack.passwords import passwords
from kirana.stack.programs import amqp_url
from shared.nameko_ext import topology
from tests.builders.waiting import eventually

SERVERS = ("postgres", "rabbitmq", "redis-carts", "redis-edge")


def management(state, path, method="GET"):
    url = urlsplit(state.management)
    request = urllib.request.Request(f"http://{url.hostname}:{url.port}/api/{path}", method=method)
    request.add_header("Authorization", "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


@pytest.fixture
def channel_of(servers):
    """A way to log in to the broker as any of its users."""
    opened = []

    def log_in(user):
        url = urlsplit(amqp_url(user, servers.state, passwords(servers.home.root)))
        connection = Connection(
            f"{url.hostname}:{url.port}", userid=url.username, password=url.password, virtual_host="kirana"
        )
        connection.connect()
        opened.append(connection)
        return connection.channel()

    yield log_in
    for connection in opened:
        connection.collect()


def test_a_running_broker_gets_what_a_release_has_beyond_it_and_keeps_its_users(servers, channel_of):
    """As in Kubernetes: the file of the repository, which knows no password, given as often as one likes."""
    url = urlsplit(servers.state.management)
    told = {
        "KIRANA_AMQP_URL": f"amqp://{url.username}:{url.password}@broker/kirana",
        "KIRANA_MANAGEMENT_URL": f"http://{url.hostname}:{url.port}",
        "KIRANA_DEFINITIONS_TEMPLATE": str(TEMPLATE),
    }
    users = management(servers.state, "users")
    missing = ("queues/kirana/parking.order.calls", "topic-permissions/kirana/order")
    for path in missing:
        management(servers.state, path, method="DELETE")

    assert [give_definitions(told), give_definitions(told)] == [0, 0]

    assert management(servers.state, missing[0])["name"] == "parking.order.calls"
    assert management(servers.state, missing[1])[0]["user"] == "order"
    assert management(servers.state, "users") == users
    assert channel_of("order").is_open


def test_a_second_up_changes_nothing_that_runs(servers):
    before = {name: servers.process(name).pid for name in SERVERS}
    first = servers.state

    again = servers.up()

    assert again == first
    assert {name: servers.process(name).pid for name in SERVERS} == before


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_is_back_and_counted(servers, name):
    before = servers.process(name)

    servers.kill(before.pid)

    eventually(lambda: servers.process(name).state == "RUNNING" and servers.process(name).pid != before.pid)
    probes = {
        "postgres": readiness.postgres(servers.state.postgres["order"]),
        "rabbitmq": readiness.broker(servers.state.amqp),
        "redis-carts": readiness.redis_server(servers.state.redis_carts[0]),
        "redis-edge": readiness.redis_server(servers.state.redis_edge),
    }
    eventually(lambda: not probes[name]())
    assert servers.process(name).restarts > before.restarts


def test_after_the_supervisor_is_killed_up_mends_the_stack_and_keeps_its_ports(servers):
    before = servers.state
    orphans = servers.pids() - {servers.supervisor_pid()}
    servers.kill(servers.supervisor_pid())
    eventually(lambda: servers.process("postgres").state == "ORPHANED")

    after = servers.up()

    assert after == before
    assert servers.process("rabbitmq").state == "RUNNING"
    assert not orphans & servers.pids()


def test_the_process_that_looks_is_not_part_of_the_stack(servers, monkeypatch):
    monkeypatch.setenv("KIRANA_HOME", str(servers.home.root))

    assert os.getpid() not in servers.pids()


def test_each_role_reaches_its_own_database_only(servers):
    own = servers.state.postgres["order"]

    psycopg2.connect(own).close()
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        psycopg2.connect(own.replace("/kirana_order", "/kirana_identity"))


def test_the_databases_keep_what_they_acknowledge(servers):
    with closing(psycopg2.connect(servers.state.postgres["catalog"])) as connection, connection.cursor() as cursor:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            cursor.execute(f"SHOW {setting}")
            assert cursor.fetchone() == ("on",), setting
        cursor.execute("SELECT similarity('waffle', 'waffles') > 0.5")
        assert cursor.fetchone() == (True,)


def test_carts_are_never_evicted_and_the_edges_redis_keeps_nothing(servers):
    with redis.Redis.from_url(servers.state.redis_carts[0], decode_responses=True) as carts:
        assert carts.config_get("maxmemory-policy", "appendonly", "appendfsync") == {
            "maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec",
        }  # fmt: skip
    with redis.Redis.from_url(servers.state.redis_edge, decode_responses=True) as edge:
        assert edge.config_get("maxmemory-policy", "appendonly", "save") == {
            "maxmemory-policy": "allkeys-lru", "appendonly": "no", "save": "",
        }  # fmt: skip
    with (
        pytest.raises(redis.AuthenticationError),
        redis.Redis(port=urlsplit(servers.state.redis_edge).port) as stranger,
    ):
        stranger.ping()


def test_nobody_is_on_the_broker_but_the_users_of_the_definitions(servers):
    names = {user["name"] for user in management(servers.state, "users")}

    assert names == {*CALLS, "operator"}


def test_the_edge_cannot_call_an_operators_method(channel_of):
    channel = channel_of("edge")
    queue, _, _ = channel.queue_declare("", exclusive=True)
    channel.queue_bind(queue, "nameko-rpc", "0199-reply")

    message = Message("{}")
    channel.basic_publish(message, "nameko-rpc", "catalog.get_product")
    channel.queue_declare(queue, passive=True)
    channel.basic_publish(message, "nameko-rpc", "catalog.load_products")
    with pytest.raises(AccessRefused, match=r"catalog\.load_products"):
        channel.queue_declare(queue, passive=True)


@pytest.mark.parametrize("key", ["order.*", "#"])
def test_the_edge_cannot_listen_to_the_calls_of_others(channel_of, key):
    channel = channel_of("edge")
    queue, _, _ = channel.queue_declare("", exclusive=True)

    with pytest.raises(AccessRefused):
        channel.queue_bind(queue, "nameko-rpc", key)


def test_a_service_cannot_take_the_queue_of_another(channel_of):
    with pytest.raises(AccessRefused):
        channel_of("cart").queue_declare("rpc-order", durable=True, auto_delete=False)


def test_a_service_declares_what_it_consumes_and_where_it_parks(servers, channel_of):
    channel = channel_of("notification")
    queue = topology.event_queue("order", "order.placed", "notification", "on_order_placed")

    topology.declare_events(channel, queue)

    assert management(servers.state, "queues/kirana/parking.notification")["type"] == "quorum"
    assert management(servers.state, f"queues/kirana/{queue.name}")["type"] == "quorum"
    for delay in topology.RETRY_DELAYS_MS:
        channel.queue_delete(queue.retry_name(delay))


def test_the_edge_does_not_see_other_vhosts(servers):
    url = urlsplit(amqp_url("edge", servers.state, passwords(servers.home.root)))
    connection = Connection(f"{url.hostname}:{url.port}", userid=url.username, password=url.password, virtual_host="/")

    with pytest.raises(NotAllowed):
        connection.connect()
    connection.collect()
