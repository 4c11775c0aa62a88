from dataclasses import dataclass

from edge.revival import Reviver


@dataclass
class FakeProcess:
    name: str
    pid: int | None
    exitcode: int | None = None


def test_a_death_is_reported_once_and_the_next_life_anew():
    reviver = Reviver()
    process = FakeProcess("Sanic-Server-0-0", 10, exitcode=-9)

    assert reviver.newly_ended([process]) == [("Sanic-Server-0-0", -9)]
    assert reviver.newly_ended([process]) == []

    process.pid, process.exitcode = 11, 0
    assert reviver.newly_ended([process]) == [("Sanic-Server-0-0", 0)]


def test_who_runs_or_has_not_started_is_left_alone():
    assert Reviver().newly_ended([FakeProcess("a", 10), FakeProcess("b", None)]) == []


def test_who_is_given_the_process_id_of_one_that_was_reported_long_ago_is_brought_back_too():
    reviver = Reviver()
    process = FakeProcess("Sanic-Server-0-0", 4711, exitcode=0)
    reviver.newly_ended([process])
    for pid, exitcode in ((5000, None), (5000, 0), (4711, None)):
        process.pid, process.exitcode = pid, exitcode
        reviver.newly_ended([process])

    process.exitcode = -9

    assert reviver.newly_ended([process]) == [("Sanic-Server-0-0", -9)]
    assert reviver.newly_ended([process]) == []


def test_one_that_was_started_anew_under_the_same_process_id_is_brought_back_too():
    reviver = Reviver()
    process = FakeProcess("Sanic-Server-0-0", 4711, exitcode=0)
    reviver.newly_ended([process])
    process.exitcode = None
    reviver.newly_ended([process])

    process.exitcode = 0

    assert reviver.newly_ended([process]) == [("Sanic-Server-0-0", 0)]


def test_one_that_died_between_two_looks_after_it_was_started_anew_is_brought_back_too():
    reviver = Reviver()
    process, other = FakeProcess("Sanic-Server-0-0", 10, exitcode=1), FakeProcess("Sanic-Server-1-0", 11, exitcode=1)
    reviver.newly_ended([process, other])

    process.pid = 12

    assert reviver.newly_ended([process, other]) == [("Sanic-Server-0-0", 1)]
