"""How long a service took, and when that is too long."""

import time

import pytest

from edge.rpc.calls import Deadline
from edge.settings import Settings
from edge.upstreams.forwarding import Ask, taken
from edge.upstreams.policy import Breaking, HttpPolicy, SlowCalls
from edge.upstreams.pool import Outgoing
from edge.upstreams.upload import Upload
from edge.upstreams.upstreams import Upstreams
from edge.worker import make_worker
from shared.resilience.breaker import BreakerState

pytestmark = pytest.mark.anyio
LONG_AGO = 1000.0


class Parts:
    def __init__(self, *parts):
        self._parts = [*parts, None]

    expecting_continue = False

    async def read(self):
        return self._parts.pop(0)


def an_ask(body=None):
    return Ask(outgoing=Outgoing(method="POST", target="/", fields=[], body=body), deadline=Deadline.after(5))


async def test_the_time_in_which_a_client_sends_its_body_is_not_the_services():
    upload = Upload(Parts(b"ab", b"cd"), 4)
    ask, began = an_ask(upload), time.monotonic() - LONG_AGO
    parts = aiter(upload)

    await anext(parts)
    assert taken(ask, began) == 0.0
    await anext(parts)

    assert taken(ask, began) < LONG_AGO / 2
    assert taken(an_ask(b"abcd"), began) >= LONG_AGO


def settled(percent, *seconds):
    slow = SlowCalls(seconds=1.0, percent=percent)
    way = Upstreams().way("pass", HttpPolicy(service="things", breaker=Breaking(calls=10, slow=slow)))
    for each in seconds:
        way.settle(way.admit(), "answered", seconds=each)
    return way.breaker_state


@pytest.mark.parametrize(
    ("percent", "slow", "state"),
    [
        (50, 4, BreakerState.CLOSED),
        (50, 5, BreakerState.OPEN),
        (80, 7, BreakerState.CLOSED),
        (80, 8, BreakerState.OPEN),
    ],
)
def test_the_breaker_opens_at_the_share_of_slow_answers_that_the_route_says(percent, slow, state):
    assert settled(percent, *[0.5] * (10 - slow), *[1.5] * slow) is state


def test_unless_it_is_said_no_answer_is_slow():
    way = Upstreams().way("pass", HttpPolicy(service="things"))
    for _ in range(100):
        way.settle(way.admit(), "answered", seconds=59.0)

    assert way.breaker_state is BreakerState.CLOSED


def test_what_an_operator_says_of_slow_calls_goes_for_every_method_of_our_services():
    settings = Settings(
        amqp_url="amqp://127.0.0.1:1", redis_url="redis://127.0.0.1:1", cursor_secret="s" * 32,
        slow_calls=0.5, slow_percent=60,
    )  # fmt: skip

    policy = make_worker(settings).collaborators.rpc._policy

    assert (policy.slow_seconds, policy.slow_ratio) == (0.5, 0.6)
