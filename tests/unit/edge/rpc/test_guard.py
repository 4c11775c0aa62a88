# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio
from contextlib import suppress

import pytest

from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.failures import Blame, NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.rpc.guard import Guard
from edge.rpc.post import IN_FLIGHT, SHARE
from shared.contracts.method import Method, Request
from shared.metrics.counting import registry
from shared.metrics.outcomes import OUTCOMES
from shared.resilience.breaker import LOST_TOGETHER, BreakerState


class Anything(Request):
    pass


METHOD = Method("catalog", "get_product", Anything, None)
ANOTHER = Method("catalog", "list_products", Anything, None)
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
    return CallContext(request_id="r", deadline=Deadline.after(300), route="t")


def state_of(guard: Guard, method: Method = METHOD) -> str:
    return guard.states()[method.service]["methods"][method.name]["breaker"]


async def call(guard: Guard, method: Method = METHOD) -> type | None:
    try:
        await guard.call(method, {}, context=a_context())
    except (RemoteRefusal, NotExecuted, OutcomeUnknown) as fault:
        return type(fault)
    return None


async def five_silences(guard: Guard) -> None:
    """Of calls that begin apart: what begins together is lost together, and is one."""
    now = guard._clock.now
    for number in range(5):
        guard._clock.now = now + (number - 4) * 2 * LOST_TOGETHER
        await call(guard)


def test_five_calls_that_are_lost_with_one_frame_do_not_open_the_breaker():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        await asyncio.gather(*(call(guard) for _ in range(5)))

        assert await call(guard) is None

    asyncio.run(scenario())


def test_five_silences_open_the_breaker_and_the_service_is_asked_no_more():
    async def scenario():
        rpc = FakeRpc(*[SILENT] * 5)
        guard = Guard(rpc, ["catalog"], clock=Clock())
        await five_silences(guard)

        with pytest.raises(NotExecuted) as refused:
            await guard.call(METHOD, {}, context=a_context())

        assert 27 <= refused.value.retry_after <= 30
        assert rpc.calls == 5
        assert state_of(guard) == "open"

    asyncio.run(scenario())


def test_one_service_in_trouble_leaves_the_others_alone():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog", "cart"], clock=Clock())
        await five_silences(guard)

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

        assert state_of(guard) == "closed"

    asyncio.run(scenario())


def test_callers_who_go_away_never_open_the_breaker():
    async def scenario():
        guard = Guard(FakeRpc(*[asyncio.CancelledError()] * 20), ["catalog"], clock=Clock())
        for _ in range(20):
            with pytest.raises(asyncio.CancelledError):
                await guard.call(METHOD, {}, context=a_context())

        assert state_of(guard) == "closed"
        assert (guard.states()["catalog"]["in_flight"], guard.states()["catalog"]["waiting"]) == (0, 0)

    asyncio.run(scenario())


def test_after_its_time_a_probe_that_is_answered_closes_the_breaker():
    async def scenario():
        clock = Clock()
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=clock)
        await five_silences(guard)
        clock.now = 30.0

        assert await call(guard) is None
        assert state_of(guard) == "closed"

    asyncio.run(scenario())


def test_a_service_that_is_seen_again_is_probed_without_waiting():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        await five_silences(guard)

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
        methods = [METHOD, ANOTHER]
        calls = [asyncio.create_task(call(guard, methods[number % 2])) for number in range(IN_FLIGHT + 10)]
        await asyncio.sleep(0)
        state = guard.states()["catalog"]
        may_go.set()
        await asyncio.gather(*calls)

        assert (state["in_flight"], state["waiting"]) == (IN_FLIGHT, 10)
        assert guard.states()["catalog"]["in_flight"] == 0

    asyncio.run(scenario())


def test_one_slow_method_leaves_places_for_the_others_of_its_service(monkeypatch):
    monkeypatch.setattr("edge.rpc.guard.LONGEST_WAIT", 60.0)  # what is tried is who gets a place, not how soon

    async def scenario():
        may_go = asyncio.Event()

        class Slow:
            async def call(self, method, arguments, *, context):
                if method is METHOD:
                    await may_go.wait()
                return RpcReply(1)

        guard = Guard(Slow(), ["catalog"])
        calls = [asyncio.create_task(call(guard)) for _ in range(IN_FLIGHT * 2)]
        await asyncio.sleep(0)
        held = guard.states()["catalog"]["methods"]["get_product"]["in_flight"]
        other = await call(guard, ANOTHER)
        may_go.set()
        told = await asyncio.gather(*calls)

        assert (held, other) == (IN_FLIGHT * SHARE, None)
        assert set(told) == {None}
        assert guard.states()["catalog"]["in_flight"] == 0

    asyncio.run(scenario())


def test_a_method_that_fails_leaves_the_others_of_its_service_alone():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        await five_silences(guard)

        assert await call(guard) is NotExecuted
        assert await call(guard, ANOTHER) is None

    asyncio.run(scenario())


def test_a_service_without_listeners_is_refused_in_all_methods_until_it_listens_again():
    async def scenario():
        rpc = FakeRpc()
        guard = Guard(rpc, ["catalog"], clock=Clock())
        guard.lost("catalog")
        refused = [await call(guard), await call(guard, ANOTHER), await call(guard, OTHER)]
        guard.wake("catalog")

        assert refused == [NotExecuted, NotExecuted, None]
        assert await call(guard, ANOTHER) is None

    asyncio.run(scenario())


def test_a_service_that_was_merely_away_is_called_by_all_at_once_when_it_is_back():
    async def scenario():
        may_answer = asyncio.Event()

        class Slow(FakeRpc):
            async def call(self, method, arguments, *, context):
                reply = await super().call(method, arguments, context=context)
                await may_answer.wait()
                return reply

        rpc = Slow()
        guard = Guard(rpc, ["catalog"], clock=Clock())
        guard.lost("catalog")
        before = guard.states()["catalog"]
        guard.wake("catalog")
        crowd = [asyncio.create_task(call(guard)) for _ in range(100)]
        await asyncio.sleep(0)
        under_way = rpc.calls
        may_answer.set()

        assert (before["breaker"], before["reason"]) == ("open", "no instance of the service is listening")
        assert set(await asyncio.gather(*crowd)) == {None}
        assert (under_way, guard.states()["catalog"]["breaker"]) == (100, "closed")

    asyncio.run(scenario())


def test_consul_cannot_call_back_who_does_not_listen():
    async def scenario():
        guard = Guard(FakeRpc(), ["catalog"], clock=Clock())
        guard.listed("catalog", alive=1, proven=1)
        guard.lost("catalog")
        guard.listed("catalog", alive=0, proven=1)
        guard.listed("catalog", alive=1, proven=1)

        assert await call(guard) is NotExecuted

    asyncio.run(scenario())


def test_consul_opens_a_service_none_of_whose_instances_passes_and_half_opens_it_when_one_does():
    async def scenario():
        guard = Guard(FakeRpc(), ["catalog"], clock=Clock())
        guard.listed("catalog", alive=1, proven=1)
        guard.listed("catalog", alive=0, proven=1)
        refused = await call(guard)
        guard.listed("catalog", alive=1, proven=1)

        assert refused is NotExecuted
        assert guard.states()["catalog"]["breaker"] == "half_open"
        assert await call(guard) is None
        assert guard.states()["catalog"]["breaker"] == "closed"

    asyncio.run(scenario())


def test_a_consul_that_is_new_to_a_service_or_forgot_it_or_repeats_itself_does_not_stop_the_shop():
    async def scenario():
        clock = Clock()
        guard = Guard(FakeRpc(), ["catalog"], clock=clock)
        guard.listed("catalog", alive=0, proven=1)
        new = await call(guard)
        guard.listed("catalog", alive=1, proven=1)
        guard.listed("catalog", alive=0, proven=0)
        forgotten = await call(guard)
        guard.listed("catalog", alive=0, proven=1)
        clock.now = 30.0
        after_a_while = await call(guard)
        guard.listed("catalog", alive=0, proven=1)

        assert (new, forgotten, after_a_while) == (None, None, None)
        assert await call(guard) is None

    asyncio.run(scenario())


def test_a_late_answer_ends_the_wait_at_once():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 5), ["catalog"], clock=Clock())
        await five_silences(guard)
        guard.heard(METHOD)

        assert await call(guard) is None

    asyncio.run(scenario())


def test_a_thousand_callers_at_half_open_make_one_call_and_learn_from_its_answer():
    async def scenario():
        clock, may_answer = Clock(), asyncio.Event()

        class Recovering(FakeRpc):
            async def call(self, method, arguments, *, context):
                reply = await super().call(method, arguments, context=context)
                await may_answer.wait()
                return reply

        rpc = Recovering(*[SILENT] * 5)
        guard = Guard(rpc, ["catalog"], clock=clock)
        await five_silences(guard)
        clock.now = 30.0
        few = [asyncio.create_task(call(guard)) for _ in range(300)]
        await asyncio.sleep(0)
        probes = rpc.calls - 5
        may_answer.set()
        told = await asyncio.gather(*few)

        assert probes == 1
        assert set(told) == {None}

    asyncio.run(scenario())


def test_a_probe_that_hangs_makes_the_others_wait_only_for_a_moment():
    async def scenario():
        clock = Clock()

        class Hanging(FakeRpc):
            async def call(self, method, arguments, *, context):
                await super().call(method, arguments, context=context)
                await asyncio.Event().wait()

        rpc = Hanging(*[SILENT] * 5)
        guard = Guard(rpc, ["catalog"], clock=clock)
        await five_silences(guard)
        clock.now = 30.0
        probe = asyncio.create_task(call(guard))
        await asyncio.sleep(0)
        told = await asyncio.gather(*(call(guard) for _ in range(1000)))
        calls = rpc.calls - 5
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)

        assert (calls, set(told)) == (1, {NotExecuted})
        assert state_of(guard) == "half_open"

    asyncio.run(scenario())


def test_a_call_that_comes_too_late_to_be_answered_says_nothing_of_the_service():
    async def scenario():
        guard = Guard(FakeRpc(*[SILENT] * 20), ["catalog"], clock=Clock())
        for _ in range(20):
            hurried = CallContext(request_id="r", deadline=Deadline.after(0.05), route="t")
            with suppress(OutcomeUnknown):
                await guard.call(METHOD, {}, context=hurried)

        assert state_of(guard) == "closed"

    asyncio.run(scenario())


def test_faults_of_a_service_open_a_method_when_most_of_its_calls_end_so():
    async def scenario():
        broken = RemoteRefusal("internal", "", {}, remote_type="KeyError")
        guard = Guard(FakeRpc(*[broken] * 50), ["catalog"], clock=Clock())
        told = [await call(guard) for _ in range(25)]

        assert told == [RemoteRefusal] * 20 + [NotExecuted] * 5

    asyncio.run(scenario())


def test_an_operator_holds_a_method_open_and_lets_it_go():
    async def scenario():
        guard = Guard(FakeRpc(), ["catalog", "cart"], clock=Clock())
        guard.rule({"catalog": {"get_product": BreakerState.OPEN}})
        held = [await call(guard), await call(guard, ANOTHER), await call(guard, OTHER)]
        guard.rule({})

        assert held == [NotExecuted, None, None]
        assert await call(guard) is None

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
        await five_silences(guard)
        before = counted(METHOD)

        await call(guard)

        assert counted(METHOD)["not_executed"] == before["not_executed"] + 1

    asyncio.run(scenario())
