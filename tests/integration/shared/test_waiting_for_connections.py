"""Who waits for a connection is counted while they wait, whatever becomes of them."""

import threading
from datetime import timedelta

import pytest

from shared.messaging.call import Call, serving
from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine
from shared.resilience.deadline import Deadline
from tests.builders.waiting import eventually


@pytest.fixture
def scope(postgres):
    engine = build_engine(postgres.url("postgres"), application="test")
    yield Scope(engine, at_once=1)
    engine.dispose()


def test_who_waits_is_counted_until_a_connection_is_free(scope):
    had = threading.Event()

    def another():
        with scope.reading():
            had.set()

    with scope.reading():
        assert scope.waiting == 0
        waiting = threading.Thread(target=another)
        waiting.start()
        eventually(lambda: scope.waiting == 1)
        assert not had.is_set()
    waiting.join(timeout=30)

    assert had.is_set()
    assert scope.waiting == 0


def test_who_gave_up_waits_no_more(scope):
    refused = []

    def another():
        with serving(Call(request_id="r", deadline=Deadline.after(timedelta(seconds=0.3)))):
            try:
                with scope.reading():
                    pass
            except Exception as refusal:
                refused.append(refusal)

    with scope.reading():
        waiting = threading.Thread(target=another)
        waiting.start()
        waiting.join(timeout=30)

    assert len(refused) == 1
    assert scope.waiting == 0
