"""What the demo service takes and gives."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.contracts.events import EventType
from shared.contracts.method import Answer, Methods, Nothing, Request
from shared.contracts.refusals import Refusal

METHODS = Methods("demo")
STOCK = Methods("stocker")


class Echo(Request, frozen=True, kw_only=True):
    text: Annotated[str, Meta(max_length=100)]
    times: int = 1


class Echoed(Answer, frozen=True, kw_only=True):
    text: str
    user_id: str | None
    request_id: str
    call_id_stack: list[str]


class Sleep(Request, frozen=True, kw_only=True):
    seconds: float
    marker: str = ""
    journal: str = ""


class Slept(Answer, frozen=True, kw_only=True):
    pid: int


class Break(Request, frozen=True, kw_only=True):
    how: str


class AddThing(Request, frozen=True, kw_only=True):
    name: str
    seconds: float = 0.0
    marker: str = ""
    journal: str = ""


class Thing(Answer, frozen=True, kw_only=True):
    id: int
    name: str


class CountThings(Request, frozen=True, kw_only=True):
    name: str


class Counted(Answer, frozen=True, kw_only=True):
    things: int
    handled: int
    ticks: int
    unpublished: int


class Ask(Request, frozen=True, kw_only=True):
    """Without ``patience`` it is the one that every service has by default."""

    service: str
    text: str
    patience: float | None = 20.0


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """A call to make once the file ``sign`` is there; ``cut`` seconds later its greenlet is timed out from outside."""

    method: str
    text: str = "x"
    seconds: float = 0.0
    sign: str = ""
    cut: float | None = None


class AskTogether(Request, frozen=True, kw_only=True):
    service: str
    calls: list[Onward]
    patience: float = 20.0


class Told(Answer, frozen=True, kw_only=True):
    """What became of a call: an answer, or a refusal's code and details, or that it was cut off."""

    answer: Any = None
    code: str | None = None
    details: dict[str, Any] | None = None
    seconds: float


class ThingAdded(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class ThingRefused(Refusal):
    code = "demo.thing_refused"
    sentence = "This thing is not wanted."


THING_ADDED = EventType("demo", "thing.added", 1, ThingAdded)

ECHO = METHODS.reads("echo", Echo, Echoed)
SLEEP = METHODS.reads("sleep", Sleep, Slept)
BREAK = METHODS.reads("break_it", Break, Nothing)
ADD_THING = METHODS.changes("add_thing", AddThing, Thing)
ADD_SLOWLY = METHODS.changes("add_slowly", AddThing, Thing)
COUNT_THINGS = METHODS.reads("count_things", CountThings, Counted)
ASK = METHODS.reads("ask", Ask, Echoed)
ASK_TOGETHER = METHODS.reads("ask_together", AskTogether, list[Told])
NOTE = STOCK.changes("note", Echo, Echoed)
SHOUT = STOCK.reads("shout", Echo, Echoed)
