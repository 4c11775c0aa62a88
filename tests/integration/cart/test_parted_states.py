"""Several changes of one cart at once, of which the disk or another Redis loses some: what is told of each is true."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from rpc_services.cart.domain import Verb
from rpc_services.cart.journal import Journal, directly
from rpc_services.cart.shards import Shards
from rpc_services.cart.storage import RedisCarts, _ask
from rpc_services.cart.trails import SHORTEST
from shared.contracts.cart import CartNotFound
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.unit.rpc_services.cart.carts_behaviour import APPLE, PEAR, a_user, adding, an_operation, contents, editing

PLUM = 7


class Disk:
    """Keeps who writes waiting until it is told how that ends; from then on it works."""

    def __init__(self):
        self._writing, self._go_on, self._breaks = threading.Event(), threading.Event(), False

    def __call__(self, function, *arguments):
        self._writing.set()
        assert self._go_on.wait(20)
        if self._breaks:
            self._breaks = False
            raise sqlite3.OperationalError("disk I/O error")
        return directly(function, *arguments)

    def wait_for_somebody(self):
        assert self._writing.wait(20)

    def work(self):
        self._go_on.set()

    def break_once(self):
        self._breaks = True
        self._go_on.set()


class Process:
    """A process of the service that has changed carts in Redis and waits for its disk."""

    def __init__(self, shards, path, threads):
        self.disk = Disk()
        self.journal = Journal(path, run=self.disk)
        self.carts = RedisCarts(shards, self.journal, clock=now, new_id=new_id)
        self._threads = threads

    def begin(self, owner, change):
        self._change = self._threads.submit(self.carts.change, owner, change)
        self.disk.wait_for_somebody()

    def end_well(self):
        self.disk.work()
        return self._change.result(20).state

    def end_badly(self):
        self.disk.break_once()
        return type(self._change.exception(20))

    def refuse(self):
        self.disk.work()
        return type(self._change.exception(20))


@pytest.fixture
def start(shards, tmp_path):
    """Another process, with all shards or with those that it is given."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(8))

        def start(shards=shards):
            process = Process(shards, tmp_path / "journal.sqlite3", threads)
            stack.callback(process.journal.close)
            return process

        yield start


@pytest.fixture
def owner(carts):
    owner = a_user()
    carts.change(owner, adding(PEAR))
    return owner


def empty(servers):
    for server in servers:
        with server.client as client:
            client.flushall()


def keyed():
    return an_operation(fingerprint="f")


@pytest.mark.parametrize("first", ["who changed first", "who changed last"])
@pytest.mark.parametrize("existed", [True, False], ids=["a cart", "no cart yet"])
def test_two_changes_that_could_not_be_journalled_both_happen_when_they_are_repeated(carts, start, first, existed):
    owner, a, b = a_user(), keyed(), keyed()
    if existed:
        carts.change(owner, adding(PEAR))
    one, other = start(), start()
    one.begin(owner, adding(APPLE, 1, a))
    other.begin(owner, adding(PLUM, 1, b))
    waking = [one, other] if first == "who changed first" else [other, one]

    told = {process: process.end_badly() for process in waking}
    carts.change(owner, adding(PEAR))
    for operation, product in [(a, APPLE), (b, PLUM), (a, APPLE)]:
        carts.change(owner, adding(product, 1, operation))

    assert (told[one], told[other]) == (OutcomeUnknown, Unavailable)
    assert contents(carts.look(owner)) == {APPLE: 1, PLUM: 1, PEAR: 2 if existed else 1}


def test_who_could_not_be_journalled_takes_back_nothing_that_others_made_since(carts, start, owner, shards):
    one, other = start(), start()
    one.begin(owner, adding(APPLE))
    other.begin(owner, adding(PLUM))
    assert other.end_badly() is Unavailable
    made = carts.change(owner, adding(PEAR)).state

    told = one.end_badly()

    assert told is OutcomeUnknown
    assert shards.client_for(owner.key).hget(f"cart:{owner.key}", "version") == str(made.version)


class TestABuiltUponChange:
    """What could not be journalled has happened all the same when a change that was built on it is journalled."""

    @pytest.fixture
    def operation(self, owner, start):
        operation = keyed()
        one, other = start(), start()
        one.begin(owner, adding(APPLE, 1, operation))
        other.begin(owner, adding(PLUM))
        assert one.end_badly() is OutcomeUnknown
        assert contents(other.end_well()) == {PEAR: 1, APPLE: 1, PLUM: 1}
        return operation

    def test_is_known(self, carts, owner, operation):
        assert contents(carts.change(owner, adding(APPLE, 1, operation)).state)[APPLE] == 1

    def test_is_known_to_a_redis_that_lost_everything(self, carts, owner, operation, servers):
        empty(servers)

        assert contents(carts.change(owner, adding(APPLE, 1, operation)).state)[APPLE] == 1

    def test_is_known_after_a_later_change_was_taken_back(self, carts, owner, operation, start):
        third = start()
        third.begin(owner, adding(PLUM))
        assert third.end_badly() is Unavailable

        assert contents(carts.change(owner, adding(APPLE, 1, operation)).state) == {PEAR: 1, APPLE: 1, PLUM: 1}

    def test_was_told_as_unknown_by_a_repetition_that_could_not_be_journalled(self, carts, owner, operation, start):
        again = start()
        again.begin(owner, adding(APPLE, 1, operation))

        assert again.end_badly() is OutcomeUnknown
        assert contents(carts.change(owner, adding(APPLE, 1, operation)).state)[APPLE] == 1


def test_a_change_that_many_were_built_upon_is_known_when_the_last_of_them_is_journalled(carts, owner, start, servers):
    operations = [keyed() for _ in range(8)]
    processes = [start() for _ in operations]
    for process, operation in zip(processes, operations, strict=True):
        process.begin(owner, adding(APPLE, 1, operation))
    processes.pop().end_well()
    for process in processes:
        process.end_badly()
    empty(servers)

    for operation in operations:
        carts.change(owner, adding(APPLE, 1, operation))

    assert contents(carts.look(owner)) == {PEAR: 1, APPLE: 8}


class JournalAskedTooEarly(Journal):
    """Between its answer and what becomes of that something happens."""

    meanwhile = staticmethod(lambda: None)

    def find_effect(self, id_, *, now):
        found = super().find_effect(id_, now=now)
        self.meanwhile()
        return found


@pytest.fixture
def early(shards, tmp_path):
    """Carts of a process that asks its journal too early."""
    with closing(JournalAskedTooEarly(tmp_path / "journal.sqlite3")) as journal:
        yield SimpleNamespace(journal=journal, carts=RedisCarts(shards, journal, clock=now, new_id=new_id))


@pytest.mark.parametrize("others", [0, SHORTEST + 1], ids=["alone", "with more than a trail tells"])
def test_what_is_journalled_just_after_it_was_asked_for_is_known_to_a_redis_that_lost_its_record(
    carts, owner, early, servers, others
):
    operation = keyed()
    change = adding(APPLE, 1, operation)

    def meanwhile():
        early.journal.meanwhile = lambda: None
        carts.change(owner, change)
        for _ in range(others):
            carts.change(owner, adding(PLUM))
        empty(servers)
        carts.look(owner)

    early.journal.meanwhile = meanwhile
    state = early.carts.change(owner, change).state

    assert contents(state) == {PEAR: 1, APPLE: 1} | ({PLUM: others} if others else {})


def test_a_cart_that_others_change_faster_than_the_journal_can_be_asked_is_busy(carts, owner, early):
    def meanwhile():
        for _ in range(SHORTEST + 1):
            carts.change(owner, adding(PLUM))

    early.journal.meanwhile = meanwhile
    with pytest.raises(Unavailable):
        early.carts.change(owner, adding(APPLE, 1, keyed()))

    assert contents(carts.look(owner)).keys() == {PEAR, PLUM}


@pytest.mark.parametrize("also", [editing(Verb.SET, PEAR, 1), adding(APPLE, 1, A := keyed())], ids=["nothing", "again"])
def test_what_somebody_else_journalled_without_a_change_of_their_own_has_happened(carts, owner, start, also):
    one, other = start(), start()
    one.begin(owner, adding(APPLE, 1, A))
    other.begin(owner, also)
    other.end_well()

    assert one.end_badly() is OutcomeUnknown
    assert contents(carts.look(owner)) == {PEAR: 1, APPLE: 1}
    assert contents(carts.change(owner, adding(APPLE, 1, A)).state) == {PEAR: 1, APPLE: 1}


def test_a_cart_whose_time_is_over_by_the_clock_of_redis_is_none(owner, journal, shards):
    hour, another = timedelta(hours=1), a_user()
    at = int((now() - hour).timestamp() * 1000)
    kept = journal.read(owner.key, now=at)
    journal.keep(replace(kept, owner=another.key, expires_at=at + 60_000), now=at)
    behind = RedisCarts(shards, journal, clock=lambda: now() - hour, new_id=new_id)

    with pytest.raises(CartNotFound):
        behind.change(another, editing(Verb.CLEAR))

    assert not shards.client_for(another.key).exists(f"cart:{another.key}")


class TestTwoServersForOneCart:
    """For a moment two processes do not agree which Redis keeps a cart."""

    @pytest.fixture
    def apart(self, servers):
        with closing(Shards([servers[0].url])) as one, closing(Shards([servers[1].url])) as other:
            yield one, other

    def test_only_one_of_two_changes_is_told_as_done_and_the_other_happens_when_it_is_repeated(
        self, carts, owner, start, apart
    ):
        one, other = map(start, apart)
        operation = keyed()
        other.begin(owner, adding(APPLE, 5, operation))
        one.begin(owner, adding(PLUM))

        one.end_well()
        told = other.refuse()

        assert told is Unavailable
        assert contents(carts.look(owner)) == {PEAR: 1, PLUM: 1}
        state = other.carts.change(owner, adding(APPLE, 5, operation)).state
        assert (state.version, contents(state)) == (3, {PEAR: 1, PLUM: 1, APPLE: 5})
        assert one.carts.look(owner) == state

    def test_the_same_change_in_both_is_told_apart(self, owner, start, apart):
        one, other = map(start, apart)
        other.begin(owner, adding(PEAR))
        one.begin(owner, adding(PEAR))

        one.end_well()

        assert other.refuse() is Unavailable
        assert contents(other.carts.change(owner, adding(PEAR)).state) == {PEAR: 3}

    def test_a_change_that_comes_late_is_not_lost_behind_newer_ones_of_the_other(self, owner, start, apart):
        one, other = map(start, apart)
        other.begin(owner, adding(APPLE, 5))
        one.begin(owner, adding(PLUM))
        one.end_well()
        one.carts.change(owner, adding(PLUM))

        assert other.refuse() is Unavailable
        assert contents(other.carts.change(owner, adding(APPLE, 5)).state) == {PEAR: 1, PLUM: 2, APPLE: 5}

    def test_newer_changes_do_not_replace_what_the_other_was_told_is_done(self, owner, start, apart):
        one, other, third = start(apart[0]), start(apart[1]), start(apart[1])
        other.begin(owner, adding(APPLE, 5))
        third.begin(owner, adding(APPLE, 5))
        one.begin(owner, adding(PLUM))

        one.end_well()

        assert (other.refuse(), third.refuse()) == (OutcomeUnknown, Unavailable)
        assert contents(third.carts.look(owner)) == contents(one.carts.look(owner)) == {PEAR: 1, PLUM: 1}

    @pytest.mark.parametrize("changes", [1, 2], ids=["as many changes", "more changes"])
    def test_a_repetition_of_what_the_other_overtook_is_not_told_as_done_by_a_record_that_was_left(
        self, owner, start, apart, changes
    ):
        """Who made the change died with its cart and its record in a Redis that is used again later."""
        one, other = map(start, apart)
        operation = keyed()
        other.carts._run(owner, _ask(adding(APPLE, 5, operation)), operation)
        one.disk.work()
        for _ in range(changes):
            one.carts.change(owner, adding(PLUM))
        other.disk.work()

        if changes == 1:
            with pytest.raises(OutcomeUnknown):
                other.carts.change(owner, adding(APPLE, 5, operation))
        state = other.carts.change(owner, adding(APPLE, 5, operation)).state

        assert contents(state) == {PEAR: 1, PLUM: changes, APPLE: 5}


def test_a_redis_that_lost_its_last_second_does_not_part_a_cart(carts, owner, start, shards):
    """The change that it lost waits for its disk meanwhile; another one is made of what was before."""
    client, key = shards.client_for(owner.key), f"cart:{owner.key}"
    before = client.hgetall(key)
    one, other = start(), start()
    one.begin(owner, adding(APPLE))
    client.delete(key)
    client.hset(key, mapping=before)
    other.begin(owner, adding(PLUM))

    one.end_well()

    assert other.refuse() is Unavailable
    assert contents(carts.change(owner, adding(PLUM)).state) == {PEAR: 1, APPLE: 1, PLUM: 1}


def test_changes_of_one_history_are_kept_in_whatever_order_they_come(carts, owner, start):
    processes = [start() for _ in range(3)]
    for product, process in zip([APPLE, PLUM, PEAR], processes, strict=True):
        process.begin(owner, adding(product, 1, keyed()))

    for process in reversed(processes):
        process.end_well()

    assert contents(carts.change(owner, editing(Verb.SET, PLUM, 9)).state) == {PEAR: 2, APPLE: 1, PLUM: 9}
