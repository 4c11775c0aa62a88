# ruff: noqa: ARG002 - a fake takes what the real one takes
"""What a lane writes into a frame, and what its callers are told when the frame comes to nothing."""

import asyncio
from types import SimpleNamespace

import pytest
from msgspec import Raw

from edge.rpc import lane
from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import Blame, Forbidden, NotExecuted, OutcomeUnknown
from edge.rpc.lane import FramesForbidden, Lane
from edge.rpc.pending import Pending
from shared.contracts import frames
from shared.contracts.frames import REPLIES, TAKEN, FramedReply, read_calls, write_replies
from shared.contracts.method import Method, Request


@pytest.fixture(autouse=True)
def _a_machine_that_stands_still_parts_no_calls(monkeypatch):
    monkeypatch.setattr(frames, "CLOSE_SECONDS", 30.0)


class Anything(Request):
    pass


READ = Method("catalog", "get_product", Anything, None)
CHANGE = Method("catalog", "set_stock", Anything, None, mutating=True)


class FakeLink:
    """Keeps the frames; what becomes of each is up to the test."""

    reply_to = "me"

    def __init__(self):
        self.frames = []
        self.properties = []
        self.fault = None
        self.is_silent = False

    async def publish(self, body, routing_key, properties, *, patience):
        self.frames.append(read_calls(body))
        self.properties.append(properties)
        if self.fault:
            raise self.fault
        if self.is_silent:
            await asyncio.Event().wait()


class Bench:
    """A lane with a link of the test's own."""

    def __init__(self):
        self.link, self.pending = FakeLink(), Pending(limit=100)
        self.lane = Lane("catalog", broker=SimpleNamespace(link=lambda: self.link), pending=self.pending)

    def ask(self, method=READ, *, seconds=5.0, user_id=None, **arguments):
        context = CallContext(request_id="r", deadline=Deadline.after(seconds), route="t", user_id=user_id)
        return asyncio.create_task(self.lane.call(method, arguments, context=context))

    async def until_sent(self, frames=1):
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(self.link.frames) == frames

    def answer(self, call):
        self.tell(write_replies([FramedReply(call.id, Raw(call.kwargs), Raw(b"null"))]), message_type=REPLIES)

    def tell(self, body=b"", **properties):
        known = SimpleNamespace(**{"correlation_id": None, "headers": {}, "message_type": None, **properties})
        self.pending.resolve(SimpleNamespace(body=body, header=SimpleNamespace(properties=known)))

    def expire(self, frame=0):
        deaths = {"x-death": [{"reason": "expired"}]}
        self.tell(correlation_id=self.link.properties[frame].correlation_id, headers=deaths)

    def expiration(self, frame):
        return int(self.link.properties[frame].expiration) / 1000


def on_a_bench(scenario):
    async def run():
        await scenario(Bench())

    asyncio.run(run())


def test_equal_reads_share_a_call_for_as_long_as_the_last_of_them_waits():
    async def scenario(bench):
        hasty, patient = bench.ask(seconds=0.5), bench.ask(seconds=10.0)
        await bench.until_sent()
        ((call,),) = bench.link.frames

        bench.answer(call)

        assert (await hasty).result == (await patient).result == {}
        expected = Deadline.after(10.0).epoch_ms
        assert expected - 1000 < call.context["deadline"] <= expected + 10

    on_a_bench(scenario)


def test_who_joined_a_read_has_its_time_though_whoever_began_it_has_gone():
    async def scenario(bench):
        hasty, patient = bench.ask(seconds=0.5), bench.ask(seconds=10.0)
        await asyncio.sleep(0)
        hasty.cancel()
        await bench.until_sent()
        ((call,),) = bench.link.frames

        bench.answer(call)

        assert (await patient).result == {}
        expected = Deadline.after(10.0).epoch_ms
        assert expected - 1000 < call.context["deadline"] <= expected + 10

    on_a_bench(scenario)


def test_neither_changes_nor_the_reads_of_two_users_share_a_call():
    async def scenario(bench):
        asked = [bench.ask(CHANGE), bench.ask(CHANGE), bench.ask(user_id="a"), bench.ask(user_id="b")]
        await bench.until_sent()
        (calls,) = bench.link.frames

        assert len(calls) == 4
        for call in calls:
            bench.answer(call)
        await asyncio.gather(*asked)

    on_a_bench(scenario)


def test_answers_come_one_by_one_in_any_order():
    async def scenario(bench):
        asked = [bench.ask(n=n) for n in range(3)]
        await bench.until_sent()
        first, second, third = bench.link.frames[0]

        bench.answer(third)
        assert (await asked[2]).result == {"n": 2}
        assert not asked[0].done()
        bench.answer(second)
        bench.answer(first)
        assert [(await task).result["n"] for task in asked] == [0, 1, 2]
        assert len(bench.pending) == 0

    on_a_bench(scenario)


@pytest.mark.parametrize(("is_taken", "of_a_change"), [(False, NotExecuted), (True, OutcomeUnknown)])
def test_an_expired_change_was_not_made_unless_a_service_said_that_it_began(is_taken, of_a_change):
    async def scenario(bench):
        read, change = bench.ask(), bench.ask(CHANGE)
        await bench.until_sent()
        if is_taken:
            bench.tell(correlation_id=bench.link.properties[0].correlation_id, message_type=TAKEN)

        bench.expire()

        outcomes = await asyncio.gather(read, change, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NotExecuted, of_a_change]
        assert len(bench.pending) == 0

    on_a_bench(scenario)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (NotExecuted("nacked", blame=Blame.SERVICE), NotExecuted),
        (OutcomeUnknown("no confirm", blame=Blame.BROKER), OutcomeUnknown),
        (Forbidden("not this key"), FramesForbidden),
    ],
    ids=["nacked", "lost", "forbidden"],
)
def test_what_becomes_of_a_frame_at_the_broker_becomes_of_its_calls(fault, told):
    async def scenario(bench):
        bench.link.fault = fault
        outcomes = await asyncio.gather(bench.ask(), bench.ask(CHANGE), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [told, told]
        assert len(bench.pending) == 0

    on_a_bench(scenario)


def test_a_batch_too_large_for_one_message_leaves_in_several_and_leaves_nothing_behind():
    async def scenario(bench):
        asked = [bench.ask(n=n, text="x" * 100_000) for n in range(6)]
        await bench.until_sent(frames=3)

        for calls in bench.link.frames:
            for call in calls:
                bench.answer(call)

        assert [(await task).result["n"] for task in asked] == list(range(6))
        await asyncio.sleep(0.01)
        assert len(bench.pending) == 0

    on_a_bench(scenario)


def test_calls_whose_deadlines_are_far_apart_leave_apart_the_soonest_first_and_expire_each_in_time():
    async def scenario(bench):
        asked = [bench.ask(seconds=seconds, n=n) for n, seconds in enumerate((300.0, 200.0, 310.0, 190.0))]
        await bench.until_sent(frames=2)

        assert [[bytes(call.kwargs) for call in calls] for calls in bench.link.frames] == [
            [b'{"n":1}', b'{"n":3}'],
            [b'{"n":0}', b'{"n":2}'],
        ]
        assert 100 < bench.expiration(0) < 190
        assert 210 < bench.expiration(1) < 300

        bench.expire(0)
        outcomes = await asyncio.gather(asked[1], asked[3], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NotExecuted, NotExecuted]
        assert not asked[0].done()
        bench.expire(1)
        outcomes = await asyncio.gather(asked[0], asked[2], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NotExecuted, NotExecuted]
        assert len(bench.pending) == 0

    on_a_bench(scenario)


def test_a_frame_is_answered_for_as_long_as_the_last_of_its_callers_waits():
    async def scenario(bench):
        hasty, patient = bench.ask(seconds=1.0, n=1), bench.ask(seconds=25.0, n=2)
        await bench.until_sent()
        with pytest.raises(OutcomeUnknown):
            await hasty

        bench.answer(bench.link.frames[0][1])

        assert (await patient).result == {"n": 2}

    on_a_bench(scenario)


@pytest.mark.parametrize(("is_silent", "blame"), [(False, Blame.SERVICE), (True, Blame.BROKER)])
def test_a_silence_is_the_services_fault_only_if_the_broker_had_the_call(is_silent, blame):
    async def scenario(bench):
        bench.link.is_silent = is_silent
        first, sharing = bench.ask(seconds=1.0), bench.ask(seconds=1.0)
        change = bench.ask(CHANGE, seconds=1.0)
        patient = bench.ask(CHANGE, seconds=20.0)
        await bench.until_sent()

        outcomes = await asyncio.gather(first, sharing, change, return_exceptions=True)

        assert [(type(outcome), outcome.blame) for outcome in outcomes] == [(OutcomeUnknown, blame)] * 3
        patient.cancel()

    on_a_bench(scenario)


def test_whoever_goes_away_while_it_waits_is_not_called_for():
    async def scenario(bench):
        staying, going = bench.ask(n=1), bench.ask(n=2)
        await asyncio.sleep(0)
        going.cancel()
        await bench.until_sent()

        ((call,),) = bench.link.frames
        bench.answer(call)
        assert (await staying).result == {"n": 1}

    on_a_bench(scenario)


def test_an_answer_that_nobody_waits_for_any_more_tells_that_the_service_lives():
    async def scenario(bench):
        late = []
        bench.pending = Pending(limit=100, on_late=late.append)
        bench.lane = Lane("catalog", broker=SimpleNamespace(link=lambda: bench.link), pending=bench.pending)
        hasty, patient = bench.ask(seconds=1.0, n=1), bench.ask(seconds=10.0, n=2)
        await bench.until_sent()
        (first, second) = bench.link.frames[0]
        with pytest.raises(OutcomeUnknown):
            await hasty

        bench.answer(first)  # while its mate still waits
        heard_of_the_first = list(late)
        bench.answer(second)
        await patient

        assert heard_of_the_first == [READ]
        assert late == [READ]

    on_a_bench(scenario)


def test_an_answer_to_a_frame_that_was_given_up_tells_so_too():
    async def scenario(bench):
        late = []
        bench.pending = Pending(limit=100, on_late=late.append)
        bench.lane = Lane("catalog", broker=SimpleNamespace(link=lambda: bench.link), pending=bench.pending)
        asked = bench.ask(seconds=1.0)
        await bench.until_sent()
        ((call,),) = bench.link.frames
        with pytest.raises(OutcomeUnknown):
            await asked
        await asyncio.wait_for(bench.lane.close(drain=5.0), 10)

        bench.answer(call)

        assert late == [READ]

    on_a_bench(scenario)


@pytest.mark.parametrize(("seconds", "blame"), [(5.0, Blame.SERVICE), (1.0, Blame.EDGE)], ids=["in time", "too late"])
def test_a_frame_that_left_too_late_expires_by_no_fault_of_the_service(monkeypatch, seconds, blame):
    monkeypatch.setattr(lane, "FAIR_SECONDS", 2.0)

    async def scenario(bench):
        asked = bench.ask(seconds=seconds)
        await bench.until_sent()

        bench.expire()

        with pytest.raises(NotExecuted) as expired:
            await asked
        assert expired.value.blame is blame

    on_a_bench(scenario)
