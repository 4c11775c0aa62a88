"""A place at the database that becomes free goes to somebody, whatever happens to those who wait."""

import eventlet
import pytest
from eventlet.hubs import get_hub

from shared.messaging.transactions import Scope


class Stopped(Exception):
    """From outside, as when somebody's time is over."""


@pytest.fixture
def scope():
    """Of one place, for greenlets, as in a service; the database is never asked."""
    scope = Scope(None)
    scope._room = eventlet.import_patched("threading").BoundedSemaphore(1)
    return scope


def test_who_is_stopped_in_the_turn_in_which_a_place_was_to_be_theirs_leaves_it_to_the_next(scope):
    done = []

    def use(name):
        try:
            with scope._place():
                done.append(name)
        except Stopped:
            done.append(f"{name} was stopped")

    def free():
        place.__exit__(None, None, None)

    place = scope._place()
    place.__enter__()
    first, second = eventlet.spawn(use, "first"), eventlet.spawn(use, "second")
    eventlet.sleep(0)
    assert scope.waiting == 2

    eventlet.spawn(free)
    get_hub().schedule_call_global(0, first.throw, Stopped())
    for _ in range(10):
        eventlet.sleep(0)

    assert done == ["first was stopped", "second"]
    assert scope.waiting == 0
    second.wait()
