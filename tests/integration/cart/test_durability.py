"""What is acknowledged stays, whatever Redis forgets; what cannot be kept is not acknowledged."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
import redis

from rpc_services.cart import domain
from rpc_services.cart.domain import CartLine, Operation, Owner, Verb
from rpc_services.cart.journal import Journal, directly
from rpc_services.cart.records import places_of
from rpc_services.cart.shards import Shards, reaching
from rpc_services.cart.storage import RedisCarts, _ask
from shared.contracts.cart import LimitExceeded
from shared.contracts.refusals import DeadlinePassed, KeyReused, OutcomeUnknown, StaleVersion, Unavailable
from shared.messaging.call import Call, serving
from shared.resilience.deadline import Deadline
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.builders.redis import Redis
from tests.unit.rpc_services.cart.carts_behaviour import (
    APPLE,
    PEAR,
    a_guest,
    a_user,
    adding,
    an_operation,
    contents,
    editing,
)


def flush(servers):
    for server in servers:
        with server.client as client:
            client.flushall()


class FailingDisk:
    """Runs the journal's writes until it is told to break."""

    broken = False

    def __call__(self, function, *arguments):
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        return directly(function, *arguments)


@pytest.fixture
def disk():
    return FailingDisk()


@pytest.fixture
def on_that_disk(shards, disk, tmp_path):
    with closing(Journal(tmp_path / "failing.sqlite3", run=disk)) as journal:
        yield RedisCarts(shards, journal, clock=now, new_id=new_id)


def test_for_a_caller_who_has_gone_nothing_is_changed_any_more(carts):
    owner = a_user()
    gone = Call(request_id="r", deadline=Deadline.after(timedelta(seconds=-1)))

    with serving(gone), pytest.raises(DeadlinePassed):
        carts.change(owner, adding(operation=an_operation()))

    assert carts.look(owner) is None


def test_ninety_adds_at_once_are_all_counted(carts):
    owner = a_user()
    carts.look(owner)  # native threads must not open the journal for the first time all at once

    with ThreadPoolExecutor(30) as pool:
        states = list(pool.map(lambda _: carts.change(owner, adding(operation=an_operation())).state, range(90)))

    state = carts.look(owner)
    assert (state.version, contents(state)) == (90, {APPLE: 90})
    assert sorted(each.version for each in states) == list(range(1, 91))


def test_one_operation_sent_thirty_times_at_once_adds_once(carts):
    owner, operation = a_user(), an_operation()

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda _: carts.change(owner, adding(operation=operation)), range(30)))

    assert contents(carts.look(owner)) == {APPLE: 1}


def test_a_redis_that_lost_everything_gets_the_cart_back_as_it_was(carts, servers):
    owner = a_user()
    carts.change(owner, adding(PEAR, 2))
    before = carts.change(owner, adding(APPLE, 3)).state

    flush(servers)

    assert carts.look(owner) == before


def test_a_change_after_the_loss_goes_on_from_the_version_before_it(carts, servers):
    owner = a_user()
    carts.change(owner, adding(APPLE, 3))
    flush(servers)

    state = carts.change(owner, adding(APPLE, 1)).state

    assert (state.version, contents(state)) == (2, {APPLE: 4})


def test_what_an_operation_did_is_remembered_across_the_loss(carts, servers):
    owner, operation = a_user(), an_operation()
    carts.change(owner, adding(operation=operation))
    flush(servers)

    assert contents(carts.change(owner, adding(operation=operation)).state) == {APPLE: 1}


def test_what_came_with_a_key_is_remembered_across_the_loss_however_much_followed(carts, servers):
    owner, operation = a_user(), an_operation(fingerprint="f")
    carts.change(owner, adding(operation=operation))
    for number in range(120):
        carts.change(owner, editing(Verb.SET, quantity=2 + number % 2, operation=an_operation(fingerprint="f")))
    flush(servers)

    assert contents(carts.change(owner, adding(operation=operation)).state) == {APPLE: 3}
    with pytest.raises(KeyReused):
        carts.change(owner, adding(operation=Operation(id=operation.id, fingerprint="another")))


def test_what_came_with_a_key_and_changed_nothing_is_remembered_across_the_loss(carts, servers):
    owner, operation = a_user(), an_operation(fingerprint="f")
    carts.change(owner, adding(quantity=2))
    carts.change(owner, editing(Verb.SET, quantity=2, operation=operation))
    carts.change(owner, editing(Verb.SET, quantity=5))
    flush(servers)

    assert contents(carts.change(owner, editing(Verb.SET, quantity=2, operation=operation)).state) == {APPLE: 5}


def test_a_key_that_the_last_version_remembered_in_the_cart_itself_is_known(carts, shards, tmp_path):
    owner, operation = a_user(), an_operation(fingerprint="f")
    carts.change(owner, adding(operation=operation))
    client, places = shards.client_for(owner.key), places_of(owner, operation.id)
    fingerprint = client.hget(places.records, places.operation).removesuffix("|")
    client.delete(places.records, places.order)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as journal, journal:
        journal.execute("DELETE FROM effects")
    client.hset(f"cart:{owner.key}", "operations", f" {places.operation}:{fingerprint}")

    assert contents(carts.change(owner, adding(operation=operation)).state) == {APPLE: 1}


def test_a_cart_of_the_last_version_is_full_at_200_lines_and_goes_on(carts, shards):
    owner = a_user()
    for product_id in range(1, 200):
        carts.change(owner, adding(product_id))
    shards.client_for(owner.key).hdel(f"cart:{owner.key}", "trail")

    carts.change(owner, adding(200))

    with pytest.raises(LimitExceeded) as refusal:
        carts.change(owner, adding(201))
    assert refusal.value.details == {"product_id": 201, "wanted": 201, "limit": 200}
    assert carts.change(owner, adding(200)).state.version == 201


def test_a_redis_that_fell_behind_is_brought_forward(carts, shards):
    owner = a_user()
    key = f"cart:{owner.key}"
    carts.change(owner, adding(APPLE, 1))
    client = shards.client_for(owner.key)
    old = client.hgetall(key)
    after = carts.change(owner, adding(APPLE, 1)).state
    client.delete(key)
    client.hset(key, mapping=old)

    assert carts.look(owner) == after


def test_a_redis_that_is_ahead_of_an_older_journal_is_left_alone(carts, shards, tmp_path):
    owner = a_user()
    with closing(Journal(tmp_path / "older.sqlite3")) as older:
        RedisCarts(shards, older, clock=now, new_id=new_id).change(owner, adding(APPLE, 1))
        carts.change(owner, adding(APPLE, 1))

        state = RedisCarts(shards, older, clock=now, new_id=new_id).look(owner)

    assert contents(state) == {APPLE: 2}


def test_what_cannot_be_journalled_is_refused_and_undone(on_that_disk, disk):
    owner = a_user()
    on_that_disk.change(owner, adding(APPLE, 1))
    disk.broken = True

    with pytest.raises(Unavailable):
        on_that_disk.change(owner, adding(APPLE, 5))

    disk.broken = False
    state = on_that_disk.look(owner)
    assert (state.version, contents(state)) == (1, {APPLE: 1})


def test_what_cannot_be_journalled_but_was_built_upon_has_an_unknown_outcome(shards, tmp_path, carts):
    owner = a_user()

    def somebody_else_first(function, *arguments):
        carts.change(owner, adding(PEAR, 1))
        raise sqlite3.OperationalError("disk I/O error")

    with closing(Journal(tmp_path / "failing.sqlite3", run=somebody_else_first)) as journal:
        slow = RedisCarts(shards, journal, clock=now, new_id=new_id)

        with pytest.raises(OutcomeUnknown):
            slow.change(owner, adding(APPLE, 1))


@pytest.mark.parametrize("fingerprint", ["", "f"], ids=["without a key", "with a key"])
def test_a_repetition_after_a_failed_journal_adds_once(on_that_disk, disk, fingerprint):
    owner, operation = a_user(), an_operation(fingerprint=fingerprint)
    on_that_disk.change(owner, adding(APPLE, 1))
    disk.broken = True
    with pytest.raises(Unavailable):
        on_that_disk.change(owner, adding(APPLE, 5, operation))
    disk.broken = False

    state = on_that_disk.change(owner, adding(APPLE, 5, operation)).state

    assert contents(state) == {APPLE: 6}


def test_what_was_changed_before_is_durable_when_it_is_told(carts, servers):
    """Who changed it died before the journal was told."""
    owner, operation = a_user(), an_operation(fingerprint="f")
    change = adding(operation=operation)
    carts._run(owner, _ask(change), operation)

    told = carts.repeated(owner, change)

    flush(servers)
    assert contents(told.state) == contents(carts.look(owner)) == {APPLE: 1}


def test_looking_does_not_prolong_a_cart_and_changing_does(carts, shards):
    owner = a_guest()
    client = shards.client_for(owner.key)
    carts.change(owner, adding())
    client.hset(f"cart:{owner.key}", "expires_at", 1)
    client.expire(f"cart:{owner.key}", 100)

    carts.look(owner)
    assert client.ttl(f"cart:{owner.key}") <= 100

    carts.change(owner, adding())
    assert client.ttl(f"cart:{owner.key}") > timedelta(days=29).total_seconds()


def test_a_cart_brought_back_still_expires_when_it_would_have(carts, shards, servers):
    owner = a_guest()
    carts.change(owner, adding())
    flush(servers)

    carts.look(owner)

    ttl = shards.client_for(owner.key).ttl(f"cart:{owner.key}")
    assert timedelta(days=29).total_seconds() < ttl <= timedelta(days=30).total_seconds()


def test_a_killed_redis_is_unavailable_and_comes_back_with_every_acknowledged_change(tmp_path):
    with (
        Redis() as server,
        closing(Shards([server.url])) as shards,
        closing(Journal(tmp_path / "journal.sqlite3")) as journal,
    ):
        carts = RedisCarts(shards, journal, clock=now, new_id=new_id)
        owner = a_user()
        for _ in range(20):
            carts.change(owner, adding(operation=an_operation()))
        server.kill()

        with pytest.raises(Unavailable):
            carts.look(owner)
        with pytest.raises(Unavailable):
            carts.change(owner, adding())
        with pytest.raises(Unavailable):
            carts.token_for(an_operation(), "token")

        server.start()
        state = carts.look(owner)
        assert (state.version, contents(state)) == (20, {APPLE: 20})


def test_a_redis_that_takes_no_writes_is_unavailable(tmp_path):
    with (
        Redis() as server,
        closing(Shards([server.url])) as shards,
        closing(Journal(tmp_path / "journal.sqlite3")) as journal,
        server.client as client,
    ):
        carts = RedisCarts(shards, journal, clock=now, new_id=new_id)
        client.config_set("maxmemory", "1")

        with pytest.raises(Unavailable):
            carts.change(a_user(), adding())


def test_carts_lie_on_the_shard_of_their_owner(carts, servers):
    flush(servers)
    for _ in range(40):
        carts.change(a_user(), adding())

    sizes = []
    for server in servers:
        with server.client as client:
            sizes.append(client.dbsize())

    assert sum(sizes) == 40
    assert min(sizes) > 0


def test_the_token_itself_is_no_part_of_the_cart(carts, servers):
    owner = Owner.guest("a-secret-token")
    carts.change(owner, adding())

    for server in servers:
        with server.client as client:
            assert not [key for key in client.scan_iter() if "a-secret-token" in key]


def test_a_merge_that_died_half_way_is_finished_by_asking_again(carts):
    guest, user = a_guest(), a_user()
    carts.change(guest, adding(APPLE, 4))
    carts.change(guest, domain.close(user.key))

    closed = carts.change(guest, domain.close(user.key)).state
    state = carts.change(user, domain.merge(closed)).state

    assert contents(state) == {APPLE: 4}


def test_twenty_merges_at_once_have_the_effect_of_one(carts):
    guest, user = a_guest(), a_user()
    carts.change(guest, adding(APPLE, 4))
    carts.change(user, adding(APPLE, 2))

    def merge(_):
        closed = carts.change(guest, domain.close("me")).state
        return carts.change(user, domain.merge(closed)).state.version

    with ThreadPoolExecutor(20) as pool:
        versions = set(pool.map(merge, range(20)))

    assert versions == {2}
    assert contents(carts.look(user)) == {APPLE: 4}


def test_edits_at_a_version_are_won_by_one(carts):
    owner = a_user()
    carts.change(owner, adding(APPLE, 1))

    def set_to(quantity):
        try:
            carts.change(owner, editing(Verb.SET, APPLE, quantity, expected_version=1))
        except StaleVersion:
            return 0
        return 1

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(set_to, range(10, 20))) == 1


def test_a_full_cart_survives_the_loss(carts, servers):
    owner = a_user()
    lines = tuple(CartLine(product_id=each, quantity=each % 99 + 1, snapshot=None) for each in range(1, 201))
    for line in lines:
        carts.change(owner, adding(line.product_id, line.quantity))
    flush(servers)

    assert contents(carts.look(owner)) == {line.product_id: line.quantity for line in lines}


def test_a_fault_in_a_script_is_not_taken_for_an_outage(shards):
    client = shards.client_for("x")

    with pytest.raises(redis.ResponseError), reaching(client):
        client.eval("return redis.call('nonsense')", 0)
