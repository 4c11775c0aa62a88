"""One part of an aggregate: asked within its own budget, and whatever comes of it is an outcome, never an exception."""

from __future__ import annotations

import asyncio
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from edge.aggregate.shapes import NAMED, REFUSED, SKIPPED, UNAVAILABLE
from edge.cache.flights import is_failure
from edge.problems import PROBLEMS, Rejected
from edge.rpc.calls import Deadline
from edge.rpc.failures import CallFailure, RemoteRefusal
from shared.contracts.refusals import DeadlinePassed, Refusal
from shared.metrics.counting import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import HTTPResponse

    from edge.aggregate.policy import PartPolicy
    from edge.exchange import Exchange

log = structlog.get_logger()

ANSWERED = "answered"
OUTCOMES = (ANSWERED, *NAMED)
IDENTITIES = frozenset({"caller.user_id", "caller.session_id", "caller.cart_token"})


class Declined(Exception):
    """A service that speaks HTTP said no (4xx): ``response`` is the whole answer where the part is required.

    ``is_for_now`` says that it may answer the same question soon: that is no word on what was asked for.
    """

    def __init__(self, response: HTTPResponse, *, is_for_now: bool) -> None:
        super().__init__(f"the service answered {response.status}")
        self.response = response
        self.is_for_now = is_for_now


class Fetch(Protocol):
    """Asks the part's service. Raises what a target raises."""

    async def __call__(self, exchange: Exchange, arguments: dict[str, Any]) -> Any:
        """Plain JSON values, as the service gives them."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part: its ``value`` in the answer, and the ``fault`` that a required one ends the whole with."""

    kind: str
    value: Any = None
    fault: Exception | None = None


class Part:
    """One part, with everything prepared that the table alone decides."""

    def __init__(self, route: str, policy: PartPolicy, fetch: Fetch) -> None:
        self.policy = policy
        self._fetch = fetch
        self._of_caller = frozenset(name for name, source in policy.arguments.items() if source in IDENTITIES)
        self._names = frozenset(policy.arguments)
        self._hidden = frozenset(policy.hide)
        self._counts = parts_of(route, policy.name, OUTCOMES)
        self._is_down = False

    async def played(self, exchange: Exchange, arguments: Mapping[str, Any]) -> Outcome:
        """Ask, unless nobody is known whom to ask for. Raises nothing but its own cancellation."""
        own = {name: value for name, value in arguments.items() if name in self._names}
        if self._of_caller and not self._of_caller & own.keys():
            self._counts[SKIPPED]()
            return Outcome(SKIPPED)
        outcome = await self._asked(exchange, {**self.policy.fixed, **own})
        self._counts[outcome.kind]()
        self._note(outcome)
        return outcome

    async def _asked(self, exchange: Exchange, arguments: dict[str, Any]) -> Outcome:
        asking = copy(exchange)
        asking.deadline = _sooner(exchange.deadline, self.policy.deadline)
        try:
            async with asyncio.timeout(asking.deadline.remaining()):
                return Outcome(ANSWERED, self._shown(await self._fetch(asking, arguments)))
        except TimeoutError:
            return Outcome(UNAVAILABLE, self.policy.fallback, DeadlinePassed())
        except Exception as fault:  # noqa: BLE001 - one part's fault is not the others'; a required one's is raised later
            return self._failed(fault)

    def _failed(self, fault: Exception) -> Outcome:
        if not isinstance(fault, Declined | CallFailure | RemoteRefusal | Refusal | Rejected):
            log.error("edge.part_failed", part=self.policy.name, exc_info=fault)
        if _is_down(fault):
            return Outcome(UNAVAILABLE, self.policy.fallback, fault)
        return Outcome(REFUSED, None, fault)

    def _shown(self, result: Any) -> Any:
        if self.policy.page:
            result = result["items"]
        if not self._hidden:
            return result
        if isinstance(result, list):
            return [self._kept(member) for member in result]
        return self._kept(result)

    def _kept(self, member: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in member.items() if name not in self._hidden}

    def _note(self, outcome: Outcome) -> None:
        """Once when it goes down, once when it is back."""
        is_down = outcome.kind == UNAVAILABLE
        if is_down and not self._is_down:
            log.warning("edge.part_unavailable", part=self.policy.name, reason=repr(outcome.fault)[:200])
        elif self._is_down and not is_down:
            log.info("edge.part_available_again", part=self.policy.name)
        self._is_down = is_down


def _is_down(fault: Exception) -> bool:
    """Whether this tells of the service's state, and not of what was asked for: every "not now" does."""
    if isinstance(fault, Declined):
        return fault.is_for_now
    if isinstance(fault, RemoteRefusal | Refusal | Rejected) and fault.code in PROBLEMS:
        return PROBLEMS[fault.code].retryable or is_failure(fault)
    return is_failure(fault)


def _sooner(deadline: Deadline, budget: float | None) -> Deadline:
    if budget is None:
        return deadline
    own = Deadline.after(budget)
    return own if own.monotonic < deadline.monotonic else deadline
