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
