import sqlite3
import threading
from contextlib import closing

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
