"""The one table from error codes to HTTP: status, title and advice; and the problem documents (RFC 9457) made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sanic import HTTPResponse

MEDIA_TYPE = "application/problem+json"


class Rejected(Exception):
    """The edge itself says no, before any service was asked. Nothing was changed."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.headers = dict(headers or {})
        self.members = members


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem. ``advice`` says on its page what a client should do about it."""

    code: str
    status: int
    title: str
    advice: str
    retryable: bool = False

    @property
    def slug(self) -> str:
        """The stable last part of its ``type``."""
        return self.code.replace(".", "-").replace("_", "-")


_CHANGE = "Change the request as the members of the document say; repeating it unchanged gives the same answer."
_AGAIN = "Nothing was changed. Send the same request again after the seconds that Retry-After names."
_LOG_IN = "Log in (POST /api/token) and send the new access token as 'Authorization: Bearer …'."
_LOOK = "Read the resource again, decide anew, and repeat with what you saw."

_ALL = (
    Problem("request.invalid", 400, "The request has fields that cannot be accepted", _CHANGE),
    Problem("request.malformed", 400, "The request cannot be read", _CHANGE),
    Problem("request.timeout", 408, "The request did not arrive in time", _AGAIN, retryable=True),
    Problem("request.length_required", 411, "The length of the body is not known", "Send Content-Length."),
    Problem("request.too_large", 413, "The body is too large", "Send a smaller body."),
    Problem("request.line_too_long", 414, "The request line is too long", "Send a shorter path or query."),
    Problem("request.media_type", 415, "Only JSON is taken", "Send JSON as Content-Type: application/json."),
    Problem("request.expectation", 417, "The expectation cannot be met", "Leave the Expect header out."),
    Problem("request.headers_too_large", 431, "The header fields are too large", "Send fewer or shorter headers."),
    Problem("route.not_found", 404, "There is nothing here", "See /docs for what there is."),
    Problem("route.method_not_allowed", 405, "This method is not allowed here", "Use a method that Allow names."),
    Problem("auth.required", 401, "A token is required", _LOG_IN),
    Problem("auth.invalid_token", 401, "The access token is not valid", _LOG_IN),
    Problem("auth.insufficient_scope", 403, "The token does not allow this", "Use an account that has the scope."),
    Problem("access.denied", 403, "Not from this address", "Come from an address that is allowed here."),
    Problem("quota.exceeded", 429, "Too many requests", _AGAIN, retryable=True),
    Problem("idempotency.key_required", 400, "An Idempotency-Key is required", "Send a new random key, e.g. a UUID."),
    Problem("idempotency.key_invalid", 400, "The Idempotency-Key is not usable", "Use 1 to 255 printable characters."),
    Problem("idempotency.key_reused", 422, "The Idempotency-Key was used for another request", "Use a new key."),
    Problem("idempotency.still_running", 409, "The first request is still running", _AGAIN, retryable=True),
    Problem("identity.username_taken", 409, "The username is taken", "Choose another username."),
    Problem("identity.email_taken", 409, "The e-mail address is taken", "Log in, or use another address."),
    Problem("identity.invalid_credentials", 401, "Wrong username or password", "Check both and try again."),
    Problem("identity.too_many_attempts", 429, "Too many attempts to log in", _AGAIN, retryable=True),
    Problem("identity.invalid_refresh_token", 401, "The refresh token is not valid", _LOG_IN),
    Problem("identity.invalid_client", 401, "The client is not known", "Check the client's id and secret."),
    Problem("identity.invalid_scope", 400, "The scope cannot be granted", "Ask for less, or leave the scope out."),
    Problem("identity.client_name_taken", 409, "The client's name is taken", "Choose another name."),
    Problem("identity.client_not_found", 404, "There is no such client", "See 'kirana clients list'."),
    Problem("identity.user_not_found", 404, "There is no such user", _LOG_IN),
    Problem("catalog.product_not_found", 404, "There is no such product", "Look for products with GET /api/products."),
    Problem("catalog.category_not_found", 400, "There is no such category", "See GET /api/categories."),
    Problem("catalog.out_of_stock", 409, "Not enough in stock", "Lower the quantities that 'shortages' names."),
    Problem("catalog.sku_taken", 409, "The sku is taken", "Choose another sku."),
    Problem("catalog.stock_conflict", 409, "The stock is not what you expected", _LOOK),
    Problem("catalog.reservation_lost", 409, "The items are no longer held", "Order again."),
    Problem("cart.not_found", 404, "There is no such cart", "Leave X-Cart-Token out to get a new cart."),
    Problem("cart.closed", 409, "The cart is closed", "Log in: its items are in the account's cart."),
    Problem("cart.limit_exceeded", 400, "The cart cannot hold that much", "Lower the quantity."),
    Problem("cart.item_not_found", 404, "The product is not in the cart", "See GET /api/cart."),
    Problem("cart.empty", 409, "The cart is empty", "Add something first."),
    Problem("cart.already_ordered", 409, "The cart was ordered already", "See GET /api/orders, then the cart again."),
    Problem("cart.price_changed", 409, "The total rose", "Look at the new quote and confirm it."),
    Problem("order.not_found", 404, "There is no such order", "See GET /api/orders."),
    Problem("order.invalid_transition", 409, "The order's state does not allow this", _LOOK),
    Problem("order.payment_declined", 402, "The payment was declined", "Use another means of payment."),
    Problem("order.mixed_currencies", 409, "An order has one currency", "Order the items separately."),
    Problem("version.stale", 412, "The resource has changed", _LOOK),
    Problem("deadline.passed", 503, "There was not enough time", _AGAIN, retryable=True),
    Problem("service.unavailable", 503, "Not available right now", _AGAIN, retryable=True),
    Problem("upstream.unusable", 502, "The answer cannot be used", "Tell us the request_id; it finds the details."),
    Problem(
        "outcome.unknown",
        504,
        "It may or may not have happened",
        "Repeat the request with the same Idempotency-Key: it then happens once, and you get its answer.",
        retryable=True,
    ),
    Problem("internal", 500, "Something went wrong on our side", "Tell us the request_id; it finds the details."),
)

PROBLEMS: dict[str, Problem] = {problem.code: problem for problem in _ALL}
BY_SLUG: dict[str, Problem] = {problem.slug: problem for problem in _ALL}

_OWN_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"}
_RETRY_STATUSES = {408, 429, 503}


def problem_document(
    problem: Problem, *, detail: str, instance: str, request_id: str, **members: Any
) -> dict[str, Any]:
    """The document; ``members`` of the refusal's own are added, but never replace those of the standard."""
    return {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": instance,
        "code": problem.code,
        "request_id": request_id,
        "retryable": problem.retryable,
        **{name: value for name, value in members.items() if name not in _OWN_MEMBERS},
    }


def problem_response(document: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The document as a response, with ``Retry-After`` where a client should come back."""
    response = HTTPResponse(orjson.dumps(document), status=document["status"], content_type=MEDIA_TYPE)
    response.headers["cache-control"] = "no-store"
    retry_after = document.get("retry_after")
    if document["status"] in _RETRY_STATUSES or retry_after is not None:
        response.headers["retry-after"] = str(max(1, int(retry_after or 1)))
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response
