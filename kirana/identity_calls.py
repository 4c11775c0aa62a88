"""Asks identity what only an operator may, and says in plain words why the answer is no."""

from __future__ import annotations

from typing import Any, TypeVar

from kirana.calls import Calls, RemoteFault
from kirana.reached import find
from kirana.stack.faults import StackFault
from shared.contracts.checking import read
from shared.contracts.method import Method, Request
from shared.contracts.refusals import InvalidRequest, Refusal

R = TypeVar("R", bound=Request)


def ask(method: Method, kind: type[R], *, unless: type[Refusal] | None = None, **fields: Any) -> Any:
    """The answer, in the type of the contract; ``None`` for the one refusal that the caller counts on (``unless``).

    Raises :class:`StackFault` for whatever goes wrong.
    """
    shop = find()
    try:
        request = read(kind, fields)
        with Calls(shop) as calls:
            return calls.call(method, request)
    except InvalidRequest as invalid:
        errors = invalid.details["errors"]
        raise StackFault("; ".join(f"{each['pointer'].strip('/')}: {each['detail']}" for each in errors)) from None
    except Refusal as refusal:
        if unless and isinstance(refusal, unless):
            return None
        mend = shop.mend if refusal.code in {"service.unavailable", "outcome.unknown"} else ""
        raise StackFault(str(refusal), mend=mend) from None
    except RemoteFault as fault:
        raise StackFault(f"Identity could not do this: {fault}", mend=shop.mend) from None
