from types import SimpleNamespace

import eventlet
import pytest

from rpc_services.attendance import Attendance
from shared.contracts.maintenance import Maintenance
from shared.nameko_ext.requests import Requests


class Consumer:
    def __init__(self):
        self.seen = []

    def pause(self):
        self.seen.append("pause")

    def resume(self):
        self.seen.append("resume")


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def attendance(consumer):
    extensions = {Requests: SimpleNamespace(consumer=consumer)}
    container = SimpleNamespace(shared_extensions=extensions, entrypoints=[], unfinished=3)
    attendance = Attendance(container)
    yield attendance
    attendance.follow(None)


def test_an_instance_that_is_out_says_why_and_how_much_is_under_way(attendance, consumer):
    attendance.follow(Maintenance(reason="new disk"))

    assert consumer.seen == ["pause"]
    assert attendance.note == "maintenance: new disk; 3 under way"


def test_the_same_wish_again_changes_nothing_and_none_lets_it_in(attendance, consumer):
    for _ in range(3):
        attendance.follow(Maintenance())
    attendance.follow(None)

    assert consumer.seen == ["pause", "resume"]
    assert attendance.note == ""


def test_a_version_on_trial_takes_work_for_a_part_of_its_time_until_it_is_let_in(attendance, consumer):
    attendance.follow(Maintenance(share=0.2))

    with eventlet.Timeout(30):
        while consumer.seen[:4] != ["resume", "pause", "resume", "pause"]:
            eventlet.sleep(0.01)
    attendance.follow(None)
    eventlet.sleep(0)

    assert attendance.note == ""
    assert consumer.seen[-1] == "resume"
