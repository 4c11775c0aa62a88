"""A callable of a service as both sides know it: its name, what it takes and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from shared.contracts import frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a method takes. Its fields, in order, are the method's parameters."""

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """Faults that are no single field's own, as far as they can be seen in ``given``, which need not be whole.

        A request with a bad field is refused before its use case sees it; the client hears of these then, too, and
        not only at the next try. A request whose fields are good is judged by the use case alone.
        """
        del given
        return []


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything a method gives. Only plain JSON types cross the wire.

    ``beside_version`` names the member, a whole number, that changes without a new ``version``; entity tags tell it.
    """

    beside_version: ClassVar[str | None] = None


class Nothing(Answer, frozen=True, kw_only=True):
    """The answer of a method that has nothing to say but that it is done."""


@dataclass(frozen=True)
class Method:
    """One RPC method.

    ``mutating`` methods carry an operation id, so that a repetition has one effect. Those without ``keeps_answer`` give
    secrets, of which nothing is kept: a repetition runs again. One that goes by something else says so where it is
    declared.
    ``operator_only`` methods are closed to the edge by the broker's topic permissions.
    """

    service: str
    name: str
    request: type[Request]
    answer: Any
    mutating: bool = False
    keeps_answer: bool = True
    operator_only: bool = False

    @property
    def routing_key(self) -> str:
        """Where Nameko binds the method: ``<service>.<method>``."""
        return f"{self.service}.{self.name}"


class Health(Answer, frozen=True, kw_only=True):
    """What a service says of itself: ``ok`` only when every dependency answers."""

    service: str
    ok: bool
    dependencies: dict[str, str]


class CheckHealth(Request, frozen=True, kw_only=True):
    """Ask a service whether it can do its work."""


class Methods:
    """All methods of one service, by name; the edge's route table is checked against it."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._methods: dict[str, Method] = {}
        self.CHECK_HEALTH = self.reads("check_health", CheckHealth, Health)

    def reads(self, name: str, request: type[Request], answer: Any, *, operator_only: bool = False) -> Method:
        """Declare a method without effects: it may be retried freely."""
        return self._declare(Method(self.service, name, request, answer, operator_only=operator_only))

    def changes(
        self,
        name: str,
        request: type[Request],
        answer: Any,
        *,
        keeps_answer: bool = True,
        operator_only: bool = False,
    ) -> Method:
        """Declare a mutating method: it honours operation ids, unless it keeps no answer."""
        method = Method(
            self.service,
            name,
            request,
            answer,
            mutating=True,
            keeps_answer=keeps_answer,
            operator_only=operator_only,
        )
        return self._declare(method)

    def _declare(self, method: Method) -> Method:
        if method.name == frames.BATCH:
            raise ValueError(f"{method.routing_key} is the routing key of frames.")
        self._methods[method.name] = method
        return method

    def __getitem__(self, name: str) -> Method:
        return self._methods[name]

    def __contains__(self, name: str) -> bool:
        return name in self._methods

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())
