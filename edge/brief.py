"""Answers on connections that have no request yet: whole problem documents, at a fraction of a request's cost."""

from __future__ import annotations

import orjson
import structlog

from edge.heads import date_now
from edge.problems import MEDIA_TYPE, PROBLEMS, problem_document
from shared.values.identifiers import new_id

log = structlog.get_logger()

REASONS = {408: "Request Timeout", 503: "Service Unavailable"}


def brief(code: str, detail: str) -> bytes:
    """The bytes of an answer that ends the connection, with an id of its own like any other: the log knows it, too."""
    problem = PROBLEMS[code]
    request_id = new_id()
    body = orjson.dumps(problem_document(problem, detail=detail, instance="*", request_id=request_id))
    log.info(
        "edge.turned_away",
        code=code,
        reason=detail,
        **{"http.request.id": request_id, "http.response.status_code": problem.status},
    )
    head = (
        f"HTTP/1.1 {problem.status} {REASONS[problem.status]}\r\ndate: {date_now()}\r\n"
        f"content-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\nretry-after: 1\r\ncache-control: no-store\r\n"
        f"x-content-type-options: nosniff\r\nx-request-id: {request_id}\r\n\r\n"
    )
    return head.encode() + body
