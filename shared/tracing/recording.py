"""Records what a piece of work did, when it is over, for whoever collects spans; without a collector it does nothing.

A span is told once, at its end: nothing has to be closed when work is cancelled, and no context has to follow it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from shared.tracing.spans import child_of, is_sampled

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Value = str | int | float | bool

ERROR: Final = "error.type"


@dataclass(slots=True, kw_only=True)
class Recorded:
    """A span that is over. ``own``, ``parent`` and ``links`` are of the form of a ``traceparent``.

    ``began_ns`` and ``ended_ns`` are nanoseconds since the epoch. ``fault`` says why it failed, in a word, if it did.
    """

    name: str
    kind: Kind
    own: str
    parent: str | None
    began_ns: int
    ended_ns: int = field(default_factory=time.time_ns)
    attributes: Mapping[str, Value] = field(default_factory=dict)
    links: Sequence[str] = ()
    fault: str | None = None


@dataclass(frozen=True)
class Recorder:
    """Where spans go, and how many of the traces that begin here are recorded, from 0 to 1."""

    record: Callable[[Recorded], None]
    ratio: float = 1.0


active: Recorder | None = None
"""The one of this process; read it as ``recording.active``. ``None`` while nobody collects spans."""

here: Final[ContextVar[str | None]] = ContextVar("kirana_traceparent", default=None)
"""The ``traceparent`` of the work that this task or greenlet does; kept only while there is a recorder."""


def use(recorder: Recorder | None) -> None:
    """Record with this one from now on."""
    global active  # noqa: PLW0603 - one per process, read on every request
    active = recorder


def recorded_parent() -> str | None:
    """What a span that begins here lies under; ``None`` when none is to be recorded."""
    if active is None:
        return None
    parent = here.get()
    return parent if parent is not None and is_sampled(parent) else None


def _first_recorded(links: Sequence[str]) -> str | None:
    return None if active is None else next(filter(is_sampled, links), None)


class part:  # noqa: N801  # reads like the function it is used as
    """Record the block as a part of the work it stands in, if that is recorded at all.

    ``own`` is the part's ``traceparent``, for what it causes elsewhere; ``None`` when it is not recorded. ``links``
    are those for whom it is done together: it stands in the trace of the first that is recorded, and links to all.
    Within the block attributes may be added, and ``fault`` be set: an empty one says that an exception is none.
    """

    __slots__ = ("_began_ns", "_kind", "_links", "_name", "_parent", "attributes", "fault", "own")

    def __init__(
        self, name: str, attributes: Mapping[str, Value], *, kind: Kind = "client", links: Sequence[str] | None = None
    ) -> None:
        self._parent = recorded_parent() if links is None else _first_recorded(links)
        self.own = None if self._parent is None else child_of(self._parent)
        self._name = name
        self._kind = kind
        self._links = links or ()
        self.attributes = dict(attributes)
        self.fault: str | None = None

    def __enter__(self) -> Self:
        self._began_ns = time.time_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self.own is None or active is None:
            return
        if kind is not None and self.fault is None:
            self.fault = kind.__qualname__
        active.record(
            Recorded(
                name=self._name,
                kind=self._kind,
                own=self.own,
                parent=self._parent,
                began_ns=self._began_ns,
                attributes=self.attributes,
                links=self._links,
                fault=self.fault or None,
            )
        )


UNRECORDED: Final = part("", {}, links=())
"""For whoever has found out already that nobody records."""
