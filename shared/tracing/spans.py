"""Gives every piece of work a place in its trace, whether or not anybody records it: W3C Trace Context.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from typing import Final, NamedTuple

NOBODY: Final = "0" * 16
"""What the specification forbids as an id of a span."""

MEMBER: Final = "kirana"
LONGEST_STATE = 512
MOST_MEMBERS = 32

_DICE = random.Random(random.SystemRandom().getrandbits(128))  # noqa: S311 - names of traces keep no secret
os.register_at_fork(after_in_child=lambda: _DICE.seed(random.SystemRandom().getrandbits(128)))
_draw: Callable[[int], int] = _DICE.getrandbits

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e\t]*")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


class Span(NamedTuple):
    """One piece of work: a request at the edge, a run of a call, an event's handling, a tick.

    ``traceparent`` is its own and travels on with what it causes; ``caller`` is that of whoever caused it, if anybody
    did. ``parent_id`` is the work whose log lines these belong under: the caller, unless that writes none.
    """

    traceparent: str
    caller: str | None = None
    parent_id: str | None = None

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits: of all that one request caused."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits: of this work alone."""
        return self.traceparent[36:52]


def begin(caller: str | None, state: str | None = None) -> Span:
    """A span under ``caller``'s, or the first of a new trace where ``caller`` is no ``traceparent``. Never raises.

    Costs about a microsecond: it is on the way of every request.
    """
    if not caller or _TRACEPARENT.fullmatch(caller) is None:
        fresh = f"{_draw(192) or 1:048x}"
        return Span(f"00-{fresh[16:]}-{fresh[:16]}-01")
    return Span(child_of(caller), caller, (work_of(state) if state else None) or caller[36:52])


def child_of(traceparent: str) -> str:
    """A new span's ``traceparent`` in the same trace, with the same flags."""
    return f"{traceparent[:36]}{_draw(64) or 1:016x}{traceparent[52:]}"


def is_sampled(traceparent: str) -> bool:
    """Whether this trace is to be recorded."""
    return int(traceparent[53:55], 16) & 1 == 1


def flagged(traceparent: str, *, is_sampled: bool) -> str:
    """The same with the decision to record it or not; other flags are not ours to pass on."""
    return f"{traceparent[:53]}{'01' if is_sampled else '00'}"


def work_of(state: str) -> str | None:
    """The work that sent a call, where a recorded span stands between: its ``tracestate`` says so."""
    for member in state.split(","):
        name, _, value = member.strip().partition("=")
        if name == MEMBER and _SPAN_ID.fullmatch(value):
            return value
    return None


def state_of(span_id: str | None, before: str | None = None) -> str | None:
    """The ``tracestate`` that travels on: our member first, and those of others that came; ``None`` for none."""
    members = [f"{MEMBER}={span_id}"] if span_id else []
    if before and len(before) <= LONGEST_STATE and _STATE.fullmatch(before):
        others = (member.strip() for member in before.split(","))
        members += [member for member in others if member and member.partition("=")[0] != MEMBER]
    return ",".join(members[:MOST_MEMBERS]) or None
