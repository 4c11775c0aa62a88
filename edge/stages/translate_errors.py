"""Turns whatever went wrong into a problem document that is truthful about what happened."""

from __future__ import annotations

from typing import Any

import structlog
from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from edge.keys import NoKeys
from edge.limiting.limits import limit_headers
from edge.problems import PROBLEMS, Rejected, problem_document, problem_response
from edge.rpc.failures import CallFailure, NotExecuted, RemoteRefusal
from shared.contracts import refusals

log = structlog.get_logger()

CHALLENGE = {"www-authenticate": 'Bearer realm="kirana"'}
REPLAYED = {"idempotency-replayed": "true"}
LONGEST_REASON = 300


async def translate_errors(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Expected failures become their own documents; an unexpected one is logged in full and told in nothing."""
    try:
        return await proceed(exchange)
    except Rejected as rejected:
        exchange.reason = _why(str(rejected), rejected.members)
        return _problem(exchange, rejected.code, str(rejected), rejected.members, rejected.headers)
    except refusals.Refusal as refusal:
        exchange.reason = _why(str(refusal), refusal.details)
        return _problem(exchange, refusal.code, str(refusal), refusal.details)
    except RemoteRefusal as refusal:
        return _remote(exchange, refusal)
    except (CallFailure, NoKeys) as failure:
        return _unanswered(exchange, failure)
    except Exception as fault:
        log.exception("edge.unexpected_failure")
        exchange.reason = type(fault).__qualname__
        return _problem(exchange, refusals.Internal.code, refusals.Internal.sentence, {})


def _unanswered(exchange: Exchange, failure: CallFailure | NoKeys) -> HTTPResponse:
    """Nothing happened, or nobody knows: the difference is what the client must be told."""
    if isinstance(failure, NoKeys):
        exchange.reason = "no signing keys are known"
        return _problem(exchange, refusals.Unavailable.code, "Tokens cannot be checked right now.", {})
    exchange.reason = failure.reason[:LONGEST_REASON]
    if isinstance(failure, NotExecuted):
        members = {"retry_after": failure.retry_after}
        return _problem(exchange, refusals.Unavailable.code, refusals.Unavailable.sentence, members)
    if exchange.route is not None and not exchange.route.mutating:
        return _problem(exchange, refusals.DeadlinePassed.code, "The answer took too long. Nothing was changed.", {})
    return _problem(exchange, refusals.OutcomeUnknown.code, refusals.OutcomeUnknown.sentence, {})


def _remote(exchange: Exchange, refusal: RemoteRefusal) -> HTTPResponse:
    """A service's no. What it says of itself only where the code is one we know."""
    if refusal.code in PROBLEMS and refusal.code != refusals.Internal.code:
        return _problem(
            exchange, refusal.code, refusal.sentence, refusal.details, REPLAYED if refusal.replayed else None
        )
    log.error("edge.remote_failure", code=refusal.code, remote_type=refusal.remote_type)
    exchange.reason = f"the service failed with {refusal.remote_type or refusal.code}"[:LONGEST_REASON]
    return _problem(exchange, refusals.Internal.code, refusals.Internal.sentence, {})


def _problem(
    exchange: Exchange, code: str, detail: str, members: dict[str, Any], headers: dict[str, str] | None = None
) -> HTTPResponse:
    problem = PROBLEMS[code]
    exchange.problem = code
    if code == "catalog.category_not_found":
        members = {**members, "errors": [{"pointer": "/category_id", "detail": detail}]}
    document = problem_document(
        problem, detail=detail, instance=exchange.request.path, request_id=exchange.request_id, **members
    )
    challenge = CHALLENGE if problem.status == 401 else {}  # noqa: PLR2004  # the number is the status's name
    return problem_response(document, headers={**challenge, **limit_headers(exchange.verdicts), **(headers or {})})


def _why(sentence: str, members: dict[str, Any]) -> str:
    """For the log: what was said, and the faults of single fields, whose places are named but not what stood there."""
    errors = members.get("errors")
    faults = [f"{each.get('pointer')}: {each.get('detail')}" for each in errors] if isinstance(errors, list) else []
    return " ".join([sentence, "; ".join(faults)]).strip()[:LONGEST_REASON]
