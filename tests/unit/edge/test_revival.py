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

    assert reviver.newly_dead([process]) == ["Sanic-Server-0-0"]
    assert reviver.newly_dead([process]) == []

    process.pid, process.exitcode = 11, 1
    assert reviver.newly_dead([process]) == ["Sanic-Server-0-0"]


def test_who_runs_or_has_not_started_is_left_alone():
    assert Reviver().newly_dead([FakeProcess("a", 10), FakeProcess("b", None)]) == []
