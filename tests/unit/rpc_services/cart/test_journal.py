import sqlite3
import threading
from contextlib import closing

import orjson
import pytest

from rpc_services.cart.journal import Effect, Journal, Stored, directly
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from tests.builders.waiting import eventually

NOW = 1_000


def a_state(owner="user:1", version=1, expires_at=2_000, fields="{}"):
    return Stored(owner=owner, version=version, expires_at=expires_at, fields=fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "carts" / "journal.sqlite3"


@pytest.fixture
def journal(path):
    journal = Journal(path)
    yield journal
    journal.close()


def test_what_was_kept_is_read_by_another_process(journal, path):
    journal.keep(a_state(version=3), now=NOW)

    other = Journal(path)

    assert other.read("user:1", now=NOW) == a_state(version=3)
    other.close()


def an_effect(id_="op", fingerprint="one", expires_at=2_000):
    return Effect(id=id_, fingerprint=fingerprint, expires_at=expires_at)


def test_an_effect_is_kept_with_the_state_until_its_time_is_over(journal, path):
    journal.keep(a_state(), now=NOW, effect=an_effect())

    other = Journal(path)

    assert [other.find_effect("op", now=now) for now in (NOW, 1_999, 2_000)] == ["one", "one", None]
    assert other.find_effect("another", now=NOW) is None
    other.close()


def test_an_effect_is_kept_even_where_the_state_is_no_newer(journal):
    journal.keep(a_state(version=3), now=NOW)

    journal.keep(a_state(version=3), now=NOW, effect=an_effect())

    assert journal.find_effect("op", now=NOW) == "one"


def test_an_effect_that_is_told_again_is_as_old_as_it_was_unless_it_was_over(journal):
    journal.keep(a_state(), now=NOW, effect=an_effect(expires_at=2_000))

    journal.keep(a_state(), now=1_500, effect=an_effect(expires_at=2_500))
    assert journal.find_effect("op", now=2_000) is None

    journal.keep(a_state(), now=2_000, effect=an_effect(fingerprint="two", expires_at=3_000))
    assert journal.find_effect("op", now=2_000) == "two"


def test_effects_whose_time_is_over_are_forgotten_and_others_are_not(journal, path):
    journal.keep(a_state(), now=1, effect=an_effect("old", expires_at=NOW))
    journal.keep(a_state(), now=1, effect=an_effect("young", expires_at=NOW + 1))

    journal.forget_expired(now=NOW)

    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT id FROM effects").fetchall() == [("young",)]


def test_a_file_from_before_effects_were_kept_is_taken_over(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE carts (owner TEXT PRIMARY KEY, version INTEGER, expires_at INTEGER, fields TEXT)")
        file.execute("INSERT INTO carts VALUES ('user:1', 3, 2000, '{}')")

    with closing(Journal(path)) as journal:
        assert journal.read("user:1", now=NOW) == a_state(version=3)
        assert journal.find_effect("op", now=NOW) is None


def made_by(*marks, version=None, **fields):
    """A state whose changes are these, newest first."""
    version = version or len(marks)
    return a_state(version=version, fields=orjson.dumps({"trail": " ".join([str(version), *marks])}).decode(), **fields)


@pytest.mark.parametrize(
    "parted",
    [made_by("c", "a"), made_by("d", "c", "a"), made_by("d", "b", "c"), made_by("c")],
    ids=["of the same version", "newer", "newer, and equal again", "older"],
)
def test_a_state_that_parted_from_the_one_that_is_kept_is_refused_with_its_effect(journal, parted):
    journal.keep(made_by("b", "a"), now=NOW)

    with pytest.raises(Unavailable):
        journal.keep(parted, now=NOW, effect=an_effect())

    assert journal.read("user:1", now=NOW) == made_by("b", "a")
    assert journal.find_effect("op", now=NOW) is None


@pytest.mark.parametrize(
    "later",
    [
        made_by("b", "a"),
        made_by("c", "b", "a"),
        made_by("a"),
        made_by("d", "c", "b", version=4),
        made_by("b", version=2),
    ],
    ids=["the same", "newer", "older", "two newer", "that knows of its own change only"],
)
def test_states_of_one_history_are_kept_with_their_effects_and_the_newest_stays(journal, later):
    journal.keep(made_by("b", "a"), now=NOW)

    journal.keep(later, now=NOW, effect=an_effect())

    assert journal.read("user:1", now=NOW).version == max(2, later.version)
    assert journal.find_effect("op", now=NOW) == "one"


@pytest.mark.parametrize(
    "fields",
    ['{"version":"2"}', '{"trail":"1 z"}', '{"trail":"2 ' + "z" * 4000 + '"}', '{"version":"2","trail":"2 z"}'],
    ids=["no trail", "of another version", "too long", "not as it is written"],
)
def test_a_state_whose_trail_cannot_be_read_is_kept_by_its_version(journal, fields):
    journal.keep(made_by("b", "a"), now=NOW)

    journal.keep(a_state(version=2, fields=fields), now=NOW, effect=an_effect())
    journal.keep(a_state(version=3, fields=fields), now=NOW)

    assert journal.find_effect("op", now=NOW) == "one"
    assert journal.read("user:1", now=NOW).version == 3


def test_a_state_that_is_further_ahead_than_its_trail_is_long_is_kept(journal):
    journal.keep(made_by("b", "a"), now=NOW)

    journal.keep(made_by("z", "y", version=9), now=NOW)

    assert journal.read("user:1", now=NOW).version == 9


def test_a_state_that_comes_too_late_to_be_compared_is_known_by_its_effect_or_refused(journal):
    journal.keep(made_by("c:1.c", "b:1.b", "a:1.a"), now=NOW)
    journal.keep(made_by("g:1.g", "f:1.f", "e:1.e", "d:1.d", version=7), now=NOW)

    journal.keep(made_by("b:1.b", "a:1.a"), now=NOW, effect=an_effect("b"))
    with pytest.raises(Unavailable):
        journal.keep(made_by("x:1.x", "a:1.a"), now=NOW, effect=an_effect("x"))

    assert journal.read("user:1", now=NOW).version == 7
    assert journal.find_effect("x", now=NOW) is None


def test_beside_a_trail_that_began_upon_a_state_without_one_states_go_by_their_version(journal):
    journal.keep(a_state(version=5), now=NOW)
    journal.keep(made_by("b", version=6), now=NOW)

    journal.keep(a_state(version=5), now=NOW, effect=an_effect("n"))

    assert journal.find_effect("n", now=NOW) == "one"
    assert journal.read("user:1", now=NOW).version == 6


def test_one_without_a_key_is_known_by_the_operations_that_the_cart_itself_remembers(journal):
    fields = {"trail": "7 g f e d", "operations": " one: two: three:"}
    journal.keep(a_state(version=7, fields=orjson.dumps(fields).decode()), now=NOW)

    journal.keep(made_by("b", "a"), now=NOW, operation="two")
    journal.keep(made_by("x", "a"), now=NOW)  # nobody can tell
    with pytest.raises(Unavailable):
        journal.keep(made_by("x", "a"), now=NOW, operation="four")

    assert journal.read("user:1", now=NOW).version == 7


def test_what_was_built_upon_and_not_journalled_is_remembered_for_a_day(journal):
    day = 24 * 3600 * 1000
    journal.keep(made_by("old:1", expires_at=3 * day), now=NOW)

    journal.keep(made_by("c", "b:2.x", "a:1.y", "old:1", expires_at=3 * day), now=NOW + day)

    assert [journal.find_effect(id_, now=NOW + day) for id_ in ("a", "b", "old")] == ["1", "2", None]
    assert journal.find_effect("a", now=NOW + 2 * day) is None


def test_one_that_parted_does_not_fail_the_others_of_its_batch(path):
    in_flight, go_on = threading.Event(), threading.Event()

    def slowly(function, *arguments):
        in_flight.set()
        assert go_on.wait(10)
        return directly(function, *arguments)

    journal = Journal(path, run=slowly)
    states = [made_by("a"), made_by("d", "c", "b", "a"), made_by("b", "a"), made_by("x", "a"), a_state("user:2")]
    told = {}

    def keep(state):
        try:
            journal.keep(state, now=NOW)
        except Unavailable:
            told[state] = Unavailable

    threads = [threading.Thread(target=keep, args=(state,)) for state in states]
    for number, each in enumerate(threads):
        each.start()
        assert in_flight.wait(10)
        eventually(lambda number=number: len(journal._waiting) == number, what="one more who waits")
    go_on.set()
    for each in threads:
        each.join(10)

    assert told == {states[3]: Unavailable}
    assert (journal.commits, journal.read("user:1", now=NOW), journal.read("user:2", now=NOW).version) == (
        2,
        states[1],
        1,
    )
    journal.close()


def test_an_older_state_never_replaces_a_newer_one(journal):
    journal.keep(a_state(version=3), now=NOW)

    journal.keep(a_state(version=2), now=NOW)

    assert journal.read("user:1", now=NOW).version == 3


def test_a_cart_that_expired_is_gone_and_may_begin_again_at_version_one(journal):
    journal.keep(a_state(version=30, expires_at=NOW), now=1)
    assert journal.read("user:1", now=NOW) is None

    journal.keep(a_state(version=1), now=NOW)

    assert journal.read("user:1", now=NOW).version == 1


def test_expired_carts_are_forgotten_and_others_are_not(journal):
    journal.keep(a_state("user:1", expires_at=NOW), now=1)
    journal.keep(a_state("user:2", expires_at=NOW + 1), now=1)

    assert journal.forget_expired(now=NOW) == 1
    assert journal.read("user:2", now=NOW) is not None


def test_the_file_is_synced_at_every_commit(journal):
    journal.keep(a_state(), now=NOW)

    assert journal._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_who_comes_while_a_commit_is_in_flight_joins_the_next_one(path):
    in_flight, go_on = threading.Event(), threading.Event()

    def slowly(function, *arguments):
        in_flight.set()
        assert go_on.wait(10)
        return directly(function, *arguments)

    journal = Journal(path, run=slowly)
    first = threading.Thread(target=journal.keep, args=(a_state("user:0"),), kwargs={"now": NOW})
    first.start()
    assert in_flight.wait(10)
    others = [
        threading.Thread(target=journal.keep, args=(a_state(f"user:{number}"),), kwargs={"now": NOW})
        for number in range(1, 21)
    ]
    for each in others:
        each.start()
    eventually(lambda: len(journal._waiting) == 20, what="twenty who wait")
    go_on.set()
    for each in [first, *others]:
        each.join(10)

    assert journal.commits == 2
    assert all(journal.read(f"user:{number}", now=NOW) for number in range(21))
    journal.close()


def test_a_disk_that_fails_is_said_to_everybody_in_the_batch_and_works_again_later(path):
    broken = True

    def run(function, *arguments):
        if broken:
            raise sqlite3.OperationalError("disk I/O error")
        return directly(function, *arguments)

    journal = Journal(path, run=run)

    with pytest.raises(Unavailable):
        journal.keep(a_state(), now=NOW)
    broken = False
    journal.keep(a_state(), now=NOW)

    assert journal.read("user:1", now=NOW).version == 1
    journal.close()


class Stopped(BaseException):
    """The deadline of whoever commits has passed."""


def test_when_whoever_commits_for_all_is_stopped_nobody_else_is_told_that_it_is_durable(path):
    in_flight, go_on = threading.Event(), threading.Event()
    commits = []

    def run(function, *arguments):
        commits.append(arguments)
        if len(commits) == 1:
            in_flight.set()
            assert go_on.wait(10)
        if len(commits) == 2:
            raise Stopped
        return directly(function, *arguments)

    journal = Journal(path, run=run)
    told = []

    def keep(owner):
        try:
            journal.keep(a_state(owner), now=NOW)
        except (OutcomeUnknown, Stopped) as fault:
            told.append(type(fault))

    threads = [threading.Thread(target=keep, args=(f"user:{number}",)) for number in range(4)]
    threads[0].start()
    assert in_flight.wait(10)
    for each in threads[1:]:
        each.start()
    eventually(lambda: len(journal._waiting) == 3, what="three who wait")
    go_on.set()
    for each in threads:
        each.join(10)

    assert sorted(told, key=str) == sorted([Stopped, OutcomeUnknown, OutcomeUnknown], key=str)
    journal.keep(a_state("user:9"), now=NOW)
    assert journal.read("user:9", now=NOW)
    journal.close()


def test_a_journal_that_cannot_be_opened_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(Unavailable):
        Journal(tmp_path / "file" / "journal").read("user:1", now=NOW)


def test_who_opens_a_new_file_while_another_writes_to_it_waits_for_that(journal, path):
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE something (id INTEGER)")
    done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    done.start()

    found = journal.read("user:nobody", now=NOW)

    done.join()
    other.close()
    assert found is None
