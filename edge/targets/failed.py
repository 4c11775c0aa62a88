"""Where requests end that Sanic could not read or answer: its exceptions become the same problem documents as ours."""

from __future__ import annotations

from sanic import HTTPResponse
from sanic.exceptions import SanicException

from edge.exchange import Exchange, Target
from edge.framing import FramingViolation
from edge.problems import Rejected
from edge.rpc.failures import OutcomeUnknown
from edge.targets.unrouted import EVERY_METHOD

CODES = {
    400: ("request.malformed", "The request is not well-formed HTTP."),
    405: ("route.method_not_allowed", "This method is not allowed here."),
    408: ("request.timeout", "The request did not arrive in time."),
    411: ("request.length_required", "Send the body with a Content-Length."),
    413: ("request.too_large", "The request is too large."),
    414: ("request.line_too_long", "The request line is too long."),
    417: ("request.expectation", "The expectation cannot be met."),
    431: ("request.headers_too_large", "The header fields are too large."),
}
SAFE = {"GET", "HEAD", "OPTIONS", "NONE"}


def failed(fault: Exception) -> Target:
    """The target for a request that ended in ``fault`` outside the stages."""

    async def answer(exchange: Exchange) -> HTTPResponse:
        status = fault.status_code if isinstance(fault, SanicException) else 500
        if status in CODES:
            code, detail = CODES[status]
            known = str(fault) if isinstance(fault, FramingViolation) else detail
            allow = {"allow": ", ".join(EVERY_METHOD)} if status == 405 else {}  # noqa: PLR2004  # the number is the status's name
            raise Rejected(code, known, headers={"connection": "close", **allow})
        if status == 503:  # noqa: PLR2004  # Sanic's own time limit for an answer
            if exchange.request.method in SAFE:
                raise Rejected("deadline.passed", "The answer took too long. Nothing was changed.")
            raise OutcomeUnknown("the answer took too long")
        raise fault

    return answer
