import time
from datetime import timedelta

import eventlet
import pytest
from eventlet.support.greenlets import GreenletExit
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from shared.contracts import frames
from shared.contracts.frames import REPLIES, TAKEN, FramedReply, read_calls, write_replies
from shared.contracts.method import Method, Request
from shared.messaging.call import Call
from shared.nameko_ext.failures import Blame, CallFailure, NobodyKnows, NotExecuted, Unreadable
from shared.nameko_ext.flight import Question
from shared.nameko_ext.framing import FrameFlight, LoneFlight
from shared.nameko_ext.lane import POLICY, Lane
from shared.nameko_ext.pending import Pending
from shared.nameko_ext.publishing import CONFIRMED, LOST, NACKED, UNROUTABLE
from shared.resilience.coalescing import CoalescingPolicy
from shared.resilience.deadline import Deadline
from shared.resilience.stock import STOCK_SECONDS

READ = Method("shop", "look", Request, None)
CHANGE = Method("shop", "buy", Request, None, mutating=True)
AUDIT = Method("shop", "audit", Request, None, operator_only=True)
STOCK_ANSWER = b'{"result": null, "error": {"exc_type": "MethodNotFound", "exc_args": [], "value": "batch"}}'


@pytest.fixture(autouse=True)
def _a_machine_that_stands_still_parts_no_calls(monkeypatch):
    monkeypatch.setattr(frames, "CLOSE_SECONDS", 30.0)


class FakeBroker:
    """Has what is written, and says of it and answers it what the test says."""

    def __init__(self, *, fate=CONFIRMED, fault=None, policy=POLICY, clock=time.monotonic):
        self.pending = Pending()
        self.flights = []
        self.fate = fate
        self.fault = fault
        self.lane = Lane("shop", write=self.write, pending=self.pending, policy=policy, clock=clock)

    def write(self, flight):
        if self.fault is not None:
            raise self.fault
        self.flights.append(flight)
        if self.fate is not None:
            flight.settle(self.fate)

    def call(self, method, text="{}", *, seconds=5.0, user_id=None, deadline=None):
        """A greenlet that calls and gives the answer's text, or what was raised."""
        question = Question(
            method,
            text.encode(),
            Call(request_id="r", user_id=user_id, deadline=deadline or Deadline.after(timedelta(seconds=seconds))),
            until=time.monotonic() + seconds,
        )
        return eventlet.spawn(outcome_of, self.lane.call, question)

    def answer(self, flight, *call_ids):
        """With each call's own arguments."""
        texts = {call.id: call.kwargs for call in read_calls(flight.body())}
        replies = [FramedReply(each, texts[each], Raw(b"null")) for each in call_ids or texts]
        self.pending.resolve({"type": REPLIES}, write_replies(replies))

    def tell(self, flight, body=b"", **properties):
        self.pending.resolve({"correlation_id": flight.id, **properties}, body)

    def expire(self, flight):
        self.tell(flight, flight.body(), application_headers={"x-death": [{"reason": "expired"}]})

    def has_nothing_left(self):
        machine = self.lane.coalescer.machine
        return (len(self.pending), machine.waiting, machine.in_flight, machine.slots_taken) == (0, 0, 0, 0)


def outcome_of(function, *arguments):
    try:
        return bytes(function(*arguments).result).decode()
    except (CallFailure, GreenletExit, eventlet.Timeout) as failure:
        return failure


def turn():
    """Submit, depart, send, and the ends of what was sent."""
    for _ in range(5):
        eventlet.sleep(0)


def outcomes(threads):
    return [thread.wait() for thread in threads]


def known(outcome):
    return type(outcome), outcome.blame


def ids_of(flight):
    return [call.id for call in read_calls(flight.body())]


def test_calls_that_come_in_one_turn_leave_in_one_frame_and_each_gets_its_own_answer():
    broker = FakeBroker()
    threads = [broker.call(CHANGE, f'"{n}"') for n in range(50)]
    turn()

    (frame,) = broker.flights
    broker.answer(frame)

    assert outcomes(threads) == [f'"{n}"' for n in range(50)]
    turn()
    assert broker.has_nothing_left()


def test_more_than_fits_into_a_message_leaves_in_several():
    broker = FakeBroker()
    threads = [broker.call(CHANGE, f'"{"x" * 100_000}{n}"') for n in range(5)]
    turn()

    for frame in broker.flights:
        broker.answer(frame)

    assert len(broker.flights) == 3
    assert {type(outcome) for outcome in outcomes(threads)} == {str}


def test_calls_whose_deadlines_are_far_apart_leave_apart_the_soonest_first_and_expire_each_in_time():
    broker = FakeBroker()
    threads = [broker.call(CHANGE, str(n), seconds=seconds) for n, seconds in enumerate((300, 200, 310, 190))]
    turn()

    sooner, later = broker.flights
    assert [[bytes(call.kwargs) for call in read_calls(flight.body())] for flight in broker.flights] == [
        [b"1", b"3"],
        [b"0", b"2"],
    ]
    assert 100 < sooner.patience() <= 190
    assert 210 < later.patience() <= 300

    broker.expire(sooner)
    assert [known(threads[n].wait()) for n in (1, 3)] == [(NotExecuted, Blame.SERVICE)] * 2
    broker.expire(later)
    assert [known(threads[n].wait()) for n in (0, 2)] == [(NotExecuted, Blame.SERVICE)] * 2
    turn()
    assert broker.has_nothing_left()


def test_a_frame_is_answered_for_as_long_as_the_last_of_its_callers_waits():
    broker = FakeBroker()
    hasty, patient = broker.call(CHANGE, "1", seconds=1.0), broker.call(CHANGE, "2", seconds=25.0)
    turn()
    (frame,) = broker.flights
    _, second = read_calls(frame.body())
    assert known(hasty.wait()) == (NobodyKnows, Blame.SERVICE)

    broker.answer(frame, second.id)

    assert patient.wait() == "2"


def test_equal_reads_of_a_user_share_a_call_with_the_latest_of_their_deadlines():
    broker = FakeBroker()
    sooner, later = Deadline.after(timedelta(seconds=2)), Deadline.after(timedelta(seconds=3))
    threads = [broker.call(READ, deadline=sooner), broker.call(READ, deadline=later), broker.call(READ, user_id="u")]
    turn()

    (frame,) = broker.flights
    shared, other = read_calls(frame.body())
    broker.answer(frame)

    assert shared.context["deadline"] == later.epoch_ms
    assert other.context["user_id"] == "u"
    assert outcomes(threads) == ["{}"] * 3


@pytest.mark.parametrize("speaks_frames", [True, False])
@pytest.mark.parametrize("is_confirmed", [True, False])
def test_who_shares_a_read_has_its_own_time_though_whoever_began_it_is_past_his(speaks_frames, is_confirmed):
    broker = FakeBroker(fate=CONFIRMED if is_confirmed else None)
    if not speaks_frames:
        broker.lane.stock.note()
    hasty, patient = (broker.call(READ, seconds=seconds) for seconds in (0.3, 60.0))
    turn()
    (flight,) = broker.flights

    assert isinstance(hasty.wait(), CallFailure)
    turn()
    assert flight.patience() > 30
    if speaks_frames:
        broker.answer(flight)
    else:
        broker.tell(flight, b'{"result": {}, "error": null}')

    assert patient.wait() == "{}"


def test_who_waits_for_a_slot_with_a_hastier_one_has_its_own_time():
    broker = FakeBroker(fate=None, policy=CoalescingPolicy(batches=1))
    broker.call(CHANGE)
    turn()
    hasty, patient = (broker.call(READ, seconds=seconds) for seconds in (0.3, 60.0))
    assert known(hasty.wait()) == (NotExecuted, Blame.CALLER)

    broker.flights[0].settle(CONFIRMED)
    turn()
    broker.answer(broker.flights[1])

    assert patient.wait() == "{}"


def test_a_slot_is_free_once_the_broker_has_the_frame_and_not_before():
    broker = FakeBroker(fate=None, policy=CoalescingPolicy(batches=1))
    first = broker.call(CHANGE)
    turn()
    second = broker.call(CHANGE)
    turn()
    assert len(broker.flights) == 1

    broker.flights[0].settle(CONFIRMED)
    turn()

    assert len(broker.flights) == 2
    broker.flights[1].settle(CONFIRMED)
    broker.answer(broker.flights[1])
    assert second.wait() == "{}"
    broker.answer(broker.flights[0])
    assert first.wait() == "{}"


def test_a_call_whose_deadline_passes_while_it_waits_for_a_slot_is_never_sent():
    broker = FakeBroker(fate=None, policy=CoalescingPolicy(batches=1))
    broker.call(CHANGE)
    turn()

    late = broker.call(CHANGE, seconds=0.05)

    assert known(late.wait()) == (NotExecuted, Blame.CALLER)
    broker.flights[0].settle(CONFIRMED)
    turn()
    assert len(broker.flights) == 1


def test_over_its_room_a_lane_refuses_at_once():
    broker = FakeBroker(policy=CoalescingPolicy(room=2))
    threads = [broker.call(CHANGE) for _ in range(3)]
    turn()

    assert known(threads[2].wait()) == (NotExecuted, Blame.CALLER)
    broker.answer(broker.flights[0])
    assert outcomes(threads[:2]) == ["{}", "{}"]


@pytest.mark.parametrize(
    ("broker", "verdict"),
    [
        (FakeBroker(fault=NotExecuted("no link", blame=Blame.BROKER)), (NotExecuted, Blame.BROKER)),
        (FakeBroker(fault=NobodyKnows("broken", blame=Blame.BROKER)), (NobodyKnows, Blame.BROKER)),
        (FakeBroker(fate=UNROUTABLE), (NotExecuted, Blame.SERVICE)),
        (FakeBroker(fate=NACKED), (NotExecuted, Blame.SERVICE)),
        (FakeBroker(fate=LOST), (NobodyKnows, Blame.BROKER)),
    ],
    ids=["not written", "half written", "returned", "refused", "lost"],
)
def test_what_is_known_of_a_call_is_what_the_broker_said_of_its_frame(broker, verdict):
    outcome = broker.call(CHANGE).wait()

    assert known(outcome) == verdict
    turn()
    assert broker.has_nothing_left()


@pytest.mark.parametrize(("fate", "blamed"), [(CONFIRMED, Blame.SERVICE), (None, Blame.BROKER)])
def test_a_silence_is_the_services_fault_only_if_the_broker_had_the_call(fate, blamed):
    broker = FakeBroker(fate=fate)

    assert known(broker.call(READ, seconds=1.0).wait()) == (NobodyKnows, blamed)


def test_an_answer_counts_even_when_its_confirm_never_came():
    broker = FakeBroker(fate=None)
    thread = broker.call(CHANGE)
    turn()

    broker.answer(broker.flights[0])
    broker.flights[0].settle(LOST)

    assert thread.wait() == "{}"


def test_of_what_the_broker_had_nobody_knows_when_the_link_is_lost():
    broker = FakeBroker()
    threads = [broker.call(READ, '"1"'), broker.call(CHANGE, '"2"')]
    turn()
    broker.answer(broker.flights[0], ids_of(broker.flights[0])[0])

    broker.pending.lose_all()

    answered, unknown = outcomes(threads)
    assert answered == '"1"'
    assert known(unknown) == (NobodyKnows, Blame.BROKER)
    turn()
    assert broker.has_nothing_left()


def test_of_what_is_not_written_yet_a_lost_link_says_nothing():
    broker = FakeBroker(fate=None)
    thread = broker.call(CHANGE)
    turn()

    broker.pending.lose_all()
    broker.flights[0].settle(UNROUTABLE)

    assert known(thread.wait()) == (NotExecuted, Blame.SERVICE)


@given(
    calls=st.lists(st.booleans(), min_size=1, max_size=12),
    answered=st.sets(st.integers(0, 11)),
    taken=st.booleans(),
    end=st.sampled_from(["expire", "lose"]),
)
@settings(deadline=None, max_examples=60)
def test_only_what_surely_did_not_happen_is_told_as_not_executed(calls, answered, taken, end):
    broker = FakeBroker()
    threads = [broker.call(CHANGE if changing else READ, f'"{n}"') for n, changing in enumerate(calls)]
    turn()
    (frame,) = broker.flights
    ids = ids_of(frame)
    done = sorted(n for n in answered if n < len(calls))
    if taken:
        broker.tell(frame, type=TAKEN)
    if done:
        broker.answer(frame, *(ids[n] for n in done))

    broker.expire(frame) if end == "expire" else broker.pending.lose_all()

    for n, outcome in enumerate(outcomes(threads)):
        if n in done:
            assert outcome == f'"{n}"'
        elif end == "lose":
            assert known(outcome) == (NobodyKnows, Blame.BROKER)
        else:
            assert known(outcome) == (NobodyKnows if taken and calls[n] else NotExecuted, Blame.SERVICE)
    turn()
    assert broker.has_nothing_left()


@given(st.lists(st.tuples(st.sampled_from(["stay", "kill", "time out"]), st.booleans()), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_whoever_is_killed_or_timed_out_leaves_nothing_behind_and_harms_nobody(fates):
    broker = FakeBroker()
    threads = [broker.call(CHANGE, f'"{n}"') for n in range(len(fates))]
    for thread, (fate, early) in zip(threads, fates, strict=True):
        if early and fate != "stay":
            thread.kill() if fate == "kill" else thread.kill(eventlet.Timeout(None))
    turn()
    for thread, (fate, _) in zip(threads, fates, strict=True):
        if fate != "stay" and not thread.dead:
            thread.kill() if fate == "kill" else thread.kill(eventlet.Timeout(None))

    for frame in broker.flights:
        broker.answer(frame)

    turn()
    for n, (thread, (fate, _)) in enumerate(zip(threads, fates, strict=True)):
        if fate == "stay":
            assert thread.wait() == f'"{n}"'
    assert broker.has_nothing_left()


def test_a_service_that_knows_no_frames_gets_lone_calls_and_then_no_frame_any_more():
    broker = FakeBroker()
    threads = [broker.call(CHANGE, f'"{n}"') for n in range(3)]
    turn()
    broker.tell(broker.flights[0], STOCK_ANSWER)
    turn()

    _, *lone = broker.flights
    for flight in lone:
        broker.tell(flight, b'{"result": 1, "error": null}')

    assert outcomes(threads) == ["1"] * 3
    assert [flight.body() for flight in lone] == [b'{"args": [], "kwargs": "%d"}' % n for n in range(3)]
    broker.call(READ)
    turn()
    assert [type(flight) for flight in broker.flights] == [FrameFlight, *[LoneFlight] * 4]
    assert broker.has_nothing_left() is False
    broker.tell(broker.flights[-1], b'{"result": 1, "error": null}')
    turn()
    assert broker.has_nothing_left()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("still_stock", [True, False])
def test_a_service_that_knew_no_frames_is_sent_one_again_after_a_while(still_stock):
    broker = FakeBroker(clock=(clock := Clock()))
    broker.lane.stock.note()
    clock.now += STOCK_SECONDS - 1
    broker.call(READ)
    turn()
    clock.now += 2
    threads = [broker.call(CHANGE, f'"{n}"') for n in range(2)]
    turn()
    lone, frame = broker.flights
    assert (type(lone), type(frame)) == (LoneFlight, FrameFlight)

    if still_stock:
        broker.tell(frame, STOCK_ANSWER)
        turn()
        for flight in broker.flights[2:]:
            broker.tell(flight, b'{"result": 1, "error": null}')
    else:
        broker.answer(frame)

    assert outcomes(threads) == (["1", "1"] if still_stock else ['"0"', '"1"'])
    broker.call(CHANGE)
    turn()
    assert type(broker.flights[-1]) is (LoneFlight if still_stock else FrameFlight)


def test_of_a_lone_change_that_expires_nobody_knows_whether_somebody_had_it():
    broker = FakeBroker()
    broker.lane.stock.note()
    threads = [broker.call(READ), broker.call(CHANGE)]
    turn()

    for flight in broker.flights:
        broker.expire(flight)

    assert [type(outcome) for outcome in outcomes(threads)] == [NotExecuted, NobodyKnows]


def test_an_operators_call_travels_where_the_broker_can_see_it():
    broker = FakeBroker()
    broker.call(READ)
    broker.call(AUDIT)
    turn()

    assert [flight.method for flight in broker.flights] == ["batch", "audit"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"{}", b'{"result": 5}', b'{"error": null}', b"\xff"])
@pytest.mark.parametrize("speaks_frames", [True, False])
def test_what_is_no_answer_is_the_services_fault(body, speaks_frames):
    broker = FakeBroker()
    if not speaks_frames:
        broker.lane.stock.note()
    thread = broker.call(READ)
    turn()

    broker.tell(broker.flights[0], body)

    assert known(thread.wait()) == (Unreadable, Blame.SERVICE)


def test_what_comes_late_or_twice_is_counted_and_changes_nothing():
    broker = FakeBroker()
    thread = broker.call(READ, '"1"')
    turn()
    (frame,) = broker.flights

    body = frame.body()
    broker.answer(frame)
    thread.wait()
    turn()
    replies = [FramedReply(call.id, Raw(b"2"), Raw(b"null")) for call in read_calls(body)]
    broker.pending.resolve({"type": REPLIES}, write_replies(replies))
    broker.tell(frame, type=TAKEN)
    broker.pending.resolve({"type": REPLIES}, b"nonsense")
    broker.pending.resolve({}, b"")

    assert broker.pending.counts == {"unclaimed": 2, "unreadable": 1}


def test_news_of_a_message_that_nobody_waits_for_is_no_late_answer():
    broker = FakeBroker()
    thread = broker.call(READ)
    turn()
    (frame,) = broker.flights
    body = frame.body()
    broker.answer(frame)
    thread.wait()
    turn()

    broker.tell(frame, type=TAKEN)
    broker.tell(frame, body, application_headers={"x-death": [{"reason": "expired"}]})

    assert broker.pending.counts == {"expired": 1}


def test_closing_tells_whoever_still_waits():
    broker = FakeBroker()
    thread = broker.call(CHANGE)
    turn()

    broker.lane.close()

    assert known(thread.wait()) == (NobodyKnows, Blame.SERVICE)
    assert known(broker.call(CHANGE).wait()) == (NotExecuted, Blame.CALLER)
    assert broker.has_nothing_left()


def test_a_message_that_cannot_be_written_harms_no_other_and_nobody_knows_of_it():
    broker = FakeBroker()
    write = broker.write

    def write_frames(flight):
        if isinstance(flight, LoneFlight):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        write(flight)

    broker.lane._write = write_frames
    bad, good = broker.call(AUDIT), [broker.call(READ, f'{{"n":{n}}}') for n in range(3)]
    turn()
    for flight in broker.flights:
        broker.answer(flight)

    assert [call.wait() for call in good] == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert known(bad.wait()) == (NobodyKnows, Blame.CALLER)
    turn()
    assert broker.has_nothing_left()
