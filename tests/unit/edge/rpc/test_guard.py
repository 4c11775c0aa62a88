# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio
from contextlib import suppress

import pytest

from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.failures import Blame, NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.rpc.guard import IN_FLIGHT, Guard
from shared.contracts.method import Method, Request
from shared.metrics.counting import registry
from shared.metrics.outcomes import OUTCOMES


class Anything(Request):
    pass


METHOD = Method("catalog", "get_product", Anything, None)
OTHER = Method("cart", "get_cart", Anything, None)
SILENT = OutcomeUnknown("no answer", blame=Blame.SERVICE)


class FakeRpc:
    """Does what the script says, one entry per call; then answers."""

    def __init__(self, *script: BaseException) -> None:
        self.script = list(script)
        self.calls = 0

    async def call(self, method, arguments, *, context):
        self.calls += 1
        if self.script:
            raise self.script.pop(0)
        return RpcReply(1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_context() -> CallContext:
    return CallContext(request_id="r", deadline=Deadline.after(5), route="t")


async def call(guard: Guard, method: Method = METHOD) -> type | None:
    try:
        await guard.call(method, {}, context=a_context())
    except (RemoteRefusal, NotExecuted, OutcomeUnknown) as fault:
        return type(fault)
    return None


def test_five_silences_open_the_breaker_and_the_service_is_asked_no_more():
    async def scenario():
        rpc = FakeRpc(*[SILENT] * 5)
        guard = Guard(rpc, ["catalog"], clock=Clock())
        for _ in range(5):
            await call(guard)

        with pytest.raises(NotExecuted) as refused:
            await guard.call(METHOD, {}, context=a_context())

        assert refused.value.retry_after == 30
        assert rpc.calls == 5
        assert guard.states()["catalog"]["breaker"] == "open"

    asyncio.run(scenario())


def test_one_service_in_trouble_leaves_the_others_alone():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog", "cart"], clock=Clock())
        for _ in range(5):
            await call(guard)

        assert await call(guard, OTHER) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "fault",
    [
        RemoteRefusal("catalog.out_of_stock", "none left", {}),
        NotExecuted("the broker is away", blame=Blame.BROKER),
        OutcomeUnknown("the link was lost", blame=Blame.BROKER),
        NotExecuted("too many calls", blame=Blame.EDGE),
    ],
)
def test_what_is_not_the_services_fault_never_opens_its_breaker(fault):
    async def scenario():
        guard = Guard(FakeRpc(*[fault] * 20), ["catalog"], clock=Clock())
        for _ in range(20):
            assert await call(guard) is type(fault)

        assert guard.states()["catalog"]["breaker"] == "closed"

    asyncio.run(scenario())


def test_callers_who_go_away_never_open_the_breaker():
    async def scenario():
        guard = Guard(FakeRpc(*[asyncio.CancelledError()] * 20), ["catalog"], clock=Clock())
        for _ in range(20):
            with pytest.raises(asyncio.CancelledError):
                await guard.call(METHOD, {}, context=a_context())

        assert guard.states()["catalog"] == {"breaker": "closed", "in_flight": 0, "waiting": 0}

    asyncio.run(scenario())


def test_after_its_time_a_probe_that_is_answered_closes_the_breaker():
    async def scenario():
        clock = Clock()
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=clock)
        for _ in range(5):
            await call(guard)
        clock.now = 30.0

        assert await call(guard) is None
        assert guard.states()["catalog"]["breaker"] == "closed"

    asyncio.run(scenario())


def test_a_service_that_is_seen_again_is_probed_without_waiting():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        for _ in range(5):
            await call(guard)

        guard.wake("catalog")

        assert await call(guard) is None

    asyncio.run(scenario())


def test_a_slow_service_never_has_more_than_its_share_in_flight():
    async def scenario():
        may_go = asyncio.Event()

        class Slow:
            async def call(self, method, arguments, *, context):
                await may_go.wait()
                return RpcReply(1)

        guard = Guard(Slow(), ["catalog"])
        calls = [asyncio.create_task(call(guard)) for _ in range(IN_FLIGHT + 10)]
        await asyncio.sleep(0)
        state = guard.states()["catalog"]
        may_go.set()
        await asyncio.gather(*calls)

        assert (state["in_flight"], state["waiting"]) == (IN_FLIGHT, 10)
        assert guard.states()["catalog"]["in_flight"] == 0

    asyncio.run(scenario())


def counted(method):
    return {
        outcome: registry.get_sample_value(
            "kirana_rpc_calls_total", {"service": method.service, "method": method.name, "outcome": outcome}
        )
        or 0
        for outcome in OUTCOMES
    }


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ([], "answered"),
        ([RemoteRefusal("catalog.not_found", "", {})], "refused"),
        ([RemoteRefusal("internal", "", {}, remote_type="KeyError")], "failed"),
        ([RemoteRefusal("outcome.unknown", "", {})], "unknown"),
        ([NotExecuted("full")], "not_executed"),
        ([SILENT], "unknown"),
        ([asyncio.CancelledError()], "abandoned"),
    ],
)
def test_a_call_counts_once_under_what_its_caller_was_told(told, outcome):
    async def scenario():
        before = counted(METHOD)
        with suppress(Exception, asyncio.CancelledError):
            await Guard(FakeRpc(*told), ["catalog"]).call(METHOD, {}, context=a_context())
        after = counted(METHOD)

        assert {each for each in OUTCOMES if after[each] != before[each]} == {outcome}
        assert after[outcome] == before[outcome] + 1

    asyncio.run(scenario())


def test_a_call_that_the_breaker_refuses_counts_too():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        for _ in range(5):
            await call(guard)
        before = counted(METHOD)

        await call(guard)

        assert counted(METHOD)["not_executed"] == before["not_executed"] + 1

    asyncio.run(scenario())
