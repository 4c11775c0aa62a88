"""Asks identity what only an operator may, and says in plain words why the answer is no."""

from __future__ import annotations

from typing import Any, TypeVar

from kirana.calls import Calls, RemoteFault
from kirana.stack.faults import StackFault
from kirana.stack.presence import load_running
from shared.contracts.checking import read
from shared.contracts.method import Method, Request
from shared.contracts.refusals import InvalidRequest, Refusal

R = TypeVar("R", bound=Request)


def ask(method: Method, kind: type[R], **fields: Any) -> Any:
    """The answer, in the type of the contract. Raises :class:`StackFault` for whatever goes wrong."""
    try:
        request = read(kind, fields)
        with Calls(load_running()) as calls:
            return calls.call(method, request)
    except InvalidRequest as invalid:
        errors = invalid.details["errors"]
        raise StackFault("; ".join(f"{each['pointer'].strip('/')}: {each['detail']}" for each in errors)) from None
    except Refusal as refusal:
        mend = "kirana status" if refusal.code in {"service.unavailable", "outcome.unknown"} else ""
        raise StackFault(str(refusal), mend=mend) from None
    except RemoteFault as fault:
        raise StackFault(f"Identity could not do this: {fault}", mend="kirana status") from None
