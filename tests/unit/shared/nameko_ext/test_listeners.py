"""Who listens is looked at while somebody calls, and told of when it changes."""

from itertools import count

import eventlet
import pytest
from eventlet.event import Event

from shared.nameko_ext.listeners import FIRST_LOOK_SECONDS, LATELY_SECONDS, Listeners
from shared.resilience.presence import ALERT_SECONDS
from tests.builders.waiting import eventually


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Broker:
    """Its queues' consumers, and everybody who looks at them."""

    def __init__(self):
        self.consumers = {}
        self.fault = None
        self.sights = 0
        self.open = 0
        self.looks = []
        self.told = []
        self.clock = Clock()
        self.listeners = Listeners(
            self.see,
            on_absence=lambda service: self.told.append(("absent", service)),
            on_return=lambda service: self.told.append(("back", service)),
            clock=self.clock,
        )

    def see(self):
        if self.fault is not None:
            raise self.fault
        self.sights += 1
        self.open += 1
        return Sight(self)

    def call(self, service, *, patience=60.0):
        self.listeners.heed(service, patience=patience)

    def has_looked(self):
        """Whether somebody has looked since now, as a function."""
        before = len(self.looks)
        return lambda: len(self.looks) > before


class Sight:
    def __init__(self, broker):
        self._broker = broker

    def consumers(self, queue):
        eventlet.sleep(0)
        if self._broker.fault is not None:
            raise self._broker.fault
        self._broker.looks.append(queue)
        return self._broker.consumers.get(queue, 0)

    def leave(self):
        self._broker.open -= 1


def soon(look):
    """Let the others run until it is so."""

    def looked():
        eventlet.sleep(0.01)
        return look()

    return eventually(looked, every=0)


@pytest.fixture
def broker():
    broker = Broker()
    thread = eventlet.spawn(broker.listeners.run)
    eventlet.sleep(0)
    yield broker
    assert not thread.dead
    thread.kill()
    assert broker.open == 0


def test_who_calls_nobody_looks_at_nothing(broker):
    eventlet.sleep(0.05)

    assert (broker.sights, broker.looks) == (0, [])


def test_a_call_waits_for_the_first_look_so_that_it_is_refused_at_once(broker):
    names = (f"service-{n}" for n in count())

    def is_told_of_by_then():
        broker.call(name := next(names))
        return broker.told[-1:] == [("absent", name)]

    soon(is_told_of_by_then)


def test_only_the_first_call_waits_and_only_what_is_called_is_looked_at(broker):
    broker.call("cart")
    soon(lambda: broker.looks == ["rpc-cart"])

    broker.call("cart")

    assert broker.looks == ["rpc-cart"]


def test_a_service_that_goes_and_comes_is_told_of_each_time_and_only_then(broker):
    broker.consumers["rpc-cart"] = 2
    broker.call("cart")
    soon(lambda: broker.looks)
    for consumers in (1, 0, 0, 1, 2):
        broker.consumers["rpc-cart"] = consumers
        soon(broker.has_looked())

    assert broker.told == [("back", "cart"), ("absent", "cart"), ("back", "cart")]
    assert broker.sights == 1


def test_what_was_not_called_lately_is_looked_at_no_more_and_may_be_tried(broker):
    broker.call("cart")
    soon(lambda: broker.looks)
    broker.clock.now += LATELY_SECONDS + 1

    soon(lambda: broker.open == 0)

    assert broker.told == [("absent", "cart"), ("back", "cart")]
    looks = len(broker.looks)
    eventlet.sleep(2 * ALERT_SECONDS)
    assert len(broker.looks) == looks
    broker.call("cart")
    soon(lambda: broker.told[2:] == [("absent", "cart")])
    assert broker.sights == 2


def test_one_that_is_called_on_and_on_stays_in_view_and_others_do_not(broker):
    broker.consumers |= {"rpc-cart": 1, "rpc-catalog": 1, "rpc-identity": 1}
    broker.call("cart")
    broker.call("catalog")
    soon(lambda: len(broker.looks) >= 2)
    broker.clock.now += LATELY_SECONDS - 1
    broker.call("cart")
    broker.clock.now += 2
    broker.looks.clear()

    broker.call("identity")

    soon(lambda: broker.looks == ["rpc-cart", "rpc-identity"])


def test_when_nobody_can_look_what_was_absent_may_be_tried_and_nobody_waits_for_a_look(broker):
    broker.call("cart")
    soon(lambda: broker.told)
    broker.fault = ConnectionError("away")

    soon(lambda: broker.told[1:] == [("back", "cart")])

    with eventlet.Timeout(FIRST_LOOK_SECONDS / 2):
        broker.call("catalog")
    assert broker.told[2:] == []


def test_a_look_that_was_waited_for_in_vain_holds_nobody_up(broker):
    broker.fault = ConnectionError("away")

    with eventlet.Timeout(30):
        broker.call("cart")

    assert broker.told == []


def test_a_broker_that_can_be_seen_again_is_looked_at_again_by_itself(broker):
    broker.fault = ConnectionError("away")
    broker.call("cart")
    broker.fault = None

    soon(lambda: broker.told == [("absent", "cart")])

    broker.consumers["rpc-cart"] = 1
    soon(lambda: broker.told[1:] == [("back", "cart")])


def test_whether_it_can_look_is_known_while_somebody_calls(broker):
    at_first = broker.listeners.sees
    broker.call("cart")
    soon(lambda: broker.listeners.sees is True)

    broker.fault = ConnectionError("away")
    soon(lambda: broker.listeners.sees is False)
    broker.fault = None
    soon(lambda: broker.listeners.sees is True)
    broker.clock.now += LATELY_SECONDS + 1
    soon(lambda: broker.listeners.sees is None)

    assert at_first is None


def test_a_broker_away_is_no_news_once_nobody_calls(broker):
    broker.fault = ConnectionError("away")
    broker.call("cart")
    soon(lambda: broker.listeners.sees is False)

    broker.clock.now += LATELY_SECONDS + 1

    soon(lambda: broker.listeners.sees is None)


def test_a_first_look_that_takes_too_long_is_not_waited_for(broker):
    never = Event()
    broker.listeners._see = never.wait

    with eventlet.Timeout(30):
        broker.call("cart")
        broker.call("cart", patience=-1.0)

    never.send_exception(ConnectionError("at last"))
    eventlet.sleep(0)
