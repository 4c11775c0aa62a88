"""What each kind of problem means, for its page, with an example of the document that a client gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edge.problems import Problem


@dataclass(frozen=True, slots=True)
class Explained:
    """``meaning`` is for people; ``instance``, ``detail`` and ``members`` make the example."""

    meaning: str
    instance: str
    detail: str
    members: dict[str, Any] = field(default_factory=dict)


def explained(problem: Problem) -> Explained:
    """The explanation; the title alone where a plugin or a later version brought a code that has none."""
    return EXPLAINED.get(problem.code) or Explained(f"{problem.title}.", "/api", f"{problem.title}.")


_OF_REQUESTS = {
    "request.invalid": Explained(
        "The request can be read, but some of its fields are missing, unknown, too long or out of range. Every bad "
        "field is named at once, with a JSON Pointer (RFC 6901) to it.",
        "/api/orders",
        "The request has fields that cannot be accepted.",
        {"errors": [{"pointer": "/items/0/quantity", "detail": "Expected `int` >= 1"}]},
    ),
    "request.malformed": Explained(
        "The request, its headers or its JSON break the rules of their format: a brace that is not closed, a member "
        "that stands twice, two Host headers. What can be read in two ways is not read at all.",
        "/api/orders",
        "The body is not JSON: unexpected end of data at byte 41.",
    ),
    "request.timeout": Explained(
        "The head or the body of the request came too slowly. The connection was closed.",
        "/api/orders",
        "The body did not arrive in time.",
    ),
    "request.length_required": Explained(
        "The body came in chunks, without its length. This route takes only bodies whose size is known beforehand.",
        "/api/orders",
        "Send the body with a Content-Length.",
    ),
    "request.too_large": Explained(
        "The body is larger than this route takes. It was not read.",
        "/api/orders",
        "The body may have at most 65536 bytes here.",
    ),
    "request.line_too_long": Explained(
        "The first line of the request, with its path and query, is longer than any of our routes can need.",
        "/api/products",
        "The request line may have at most 4096 bytes.",
    ),
    "request.media_type": Explained(
        "The body is of a kind, or in an encoding, that this route does not read.",
        "/api/orders",
        "Send it in UTF-8 as Content-Type: application/json.",
    ),
    "request.expectation": Explained(
        "The request has an Expect header with something other than 100-continue.",
        "/api/orders",
        "Only 100-continue can be expected.",
    ),
    "request.headers_too_large": Explained(
        "The headers of the request are longer or more than is taken. Often a cookie has grown; none is needed here.",
        "/api/products",
        "The headers may have at most 8192 bytes.",
    ),
    "route.not_found": Explained(
        "Nothing answers at this path, for anybody.",
        "/api/produtcs",
        "There is nothing at this path.",
    ),
    "route.method_not_allowed": Explained(
        "The path exists, but not with this method. The Allow header names those that it has.",
        "/api/products",
        "Here only GET, HEAD, OPTIONS, POST can be used.",
    ),
    "quota.exceeded": Explained(
        "Your address or your account has sent more requests than it may within a time. The RateLimit fields of every "
        "answer tell what is left, so that a client can slow down before it is refused. Refused requests do not count.",
        "/api/products",
        "Too many requests.",
        {"retry_after": 17},
    ),
    "access.denied": Explained(
        "This route, or the whole shop, takes no requests from the network that yours came from.",
        "/status",
        "Requests from this address are not taken here.",
    ),
    "auth.required": Explained(
        "This route is for users who are logged in, and the request had no token.",
        "/api/orders",
        "This needs an access token.",
    ),
    "auth.invalid_token": Explained(
        "The token has expired, its session was ended, or it is none that we issued. Access tokens live a few minutes; "
        "a refresh token gets the next one (POST /api/token/refresh).",
        "/api/orders",
        "The access token is not valid.",
    ),
    "auth.insufficient_scope": Explained(
        "The token is good, but its account may not do this.",
        "/api/products",
        "This needs the scope 'catalog:write'.",
    ),
}

_OF_REPEATING = {
    "idempotency.key_required": Explained(
        "This request must not happen twice, so it needs an Idempotency-Key: when an answer is lost, the same request "
        "can be sent again without a second effect.",
        "/api/orders",
        "Send an Idempotency-Key with this request.",
    ),
    "idempotency.key_invalid": Explained(
        "The Idempotency-Key is empty, too long, sent twice, or has characters that are not printable ASCII.",
        "/api/orders",
        "Send one Idempotency-Key of 1 to 255 printable ASCII characters.",
    ),
    "idempotency.key_reused": Explained(
        "An earlier request had the same Idempotency-Key and asked for something else. A key names one request.",
        "/api/orders",
        "This Idempotency-Key was already used for a different request.",
    ),
    "idempotency.still_running": Explained(
        "The first request with this key has not finished. Its answer will be given to whoever asks again.",
        "/api/orders",
        "The first request with this Idempotency-Key is still running. Try again shortly.",
        {"retry_after": 1},
    ),
    "version.stale": Explained(
        "Somebody changed the resource after you read it. Your change was not made, so theirs is not lost.",
        "/api/cart/items/01",
        "The resource has changed since the version you named.",
        {"version": 8},
    ),
    "deadline.passed": Explained(
        "The answer could not be had within the time that this route gives. Nothing was changed.",
        "/api/orders",
        "The deadline passed before the work could be done. Nothing was changed.",
        {"retry_after": 1},
    ),
    "service.unavailable": Explained(
        "A part of the shop is away, or has more to do than it can. This request was not carried out, not even in "
        "part; other parts of the shop may well serve.",
        "/api/orders",
        "The service cannot do this right now. Nothing was changed; try again shortly.",
        {"retry_after": 2},
    ),
    "upstream.unusable": Explained(
        "The service behind this route answered with something that cannot be passed on.",
        "/api/reviews",
        "The service's answer could not be read.",
    ),
    "outcome.unknown": Explained(
        "The request was handed over, but its answer was lost: a connection broke or a process died. It may have "
        "happened, and it may not.",
        "/api/orders",
        "It is not known whether this happened. Repeat the request with the same Idempotency-Key.",
    ),
    "internal": Explained(
        "A fault of ours. It was logged with the request id and all that is needed to find it.",
        "/api/orders",
        "Something went wrong on our side. The request id finds the details in the logs.",
    ),
}

_OF_ACCOUNTS = {
    "identity.username_taken": Explained(
        "Another account has this username.", "/api/users", "This username is already taken."
    ),
    "identity.email_taken": Explained(
        "An account has this e-mail address already, perhaps your own.",
        "/api/users",
        "This e-mail address already belongs to an account.",
    ),
    "identity.invalid_credentials": Explained(
        "There is no account with this username and password. Which of the two is wrong is told to nobody.",
        "/api/token",
        "The username or the password is wrong.",
    ),
    "identity.too_many_attempts": Explained(
        "There were too many attempts to log in to this account, or from this address. Right or wrong, further ones "
        "are not looked at for a while.",
        "/api/token",
        "Too many attempts to log in. Wait before trying again.",
        {"retry_after": 30},
    ),
    "identity.invalid_refresh_token": Explained(
        "The refresh token has expired, was used before, or its session was ended. A token that is used twice ends its "
        "session: one of the two users may be a thief.",
        "/api/token/refresh",
        "This refresh token is not valid. Log in again.",
    ),
    "identity.invalid_client": Explained(
        "No service or partner has this client id and secret.", "/oauth/token", "The client could not be authenticated."
    ),
    "identity.invalid_scope": Explained(
        "The client asked for a scope that does not exist or that it may not have.",
        "/oauth/token",
        "The requested scope is unknown or exceeds what may be granted.",
    ),
    "identity.client_name_taken": Explained(
        "An operator tried to add a client under a name that is in use.", "/api", "Another client has this name."
    ),
    "identity.client_not_found": Explained(
        "An operator named a client that does not exist.", "/api", "There is no such client."
    ),
    "identity.user_not_found": Explained(
        "The account does not exist, or no longer.", "/api/users/me", "There is no such user."
    ),
}

_OF_THE_SHOP = {
    "catalog.product_not_found": Explained(
        "The product does not exist, or is no longer on sale.",
        "/api/products/01",
        "There is no such product.",
        {"product_ids": ["01"]},
    ),
    "catalog.category_not_found": Explained(
        "The request names a category that does not exist.", "/api/products", "There is no such category."
    ),
    "catalog.out_of_stock": Explained(
        "There is less in stock than was asked for. Every short line is named; nothing was set aside or charged.",
        "/api/orders",
        "Some items are not in stock in the wanted quantity.",
        {"shortages": [{"product_id": "01", "wanted": 3, "available": 1}]},
    ),
    "catalog.sku_taken": Explained(
        "Another product has this sku already.", "/api/products", "Another product already has this sku."
    ),
    "catalog.stock_conflict": Explained(
        "The stock is not what was expected, or the new figure is below what is held for orders.",
        "/api/products/01/stock",
        "The stock is not what you expected, or part of it is reserved.",
        {"on_hand": 12},
    ),
    "catalog.reservation_lost": Explained(
        "The items were held for this order for a time, which has run out.",
        "/api/orders",
        "The items are no longer held for this order.",
    ),
    "cart.not_found": Explained("The X-Cart-Token opens no cart.", "/api/cart", "There is no such cart."),
    "cart.closed": Explained(
        "The guest's cart was brought into an account and takes no more items.",
        "/api/cart/items",
        "This cart was merged into an account and is closed.",
    ),
    "cart.limit_exceeded": Explained(
        "A cart holds at most 99 of a product and 200 different products.",
        "/api/cart/items",
        "A cart holds at most 99 of a product and 200 different products.",
        {"limit": 99, "wanted": 120, "product_id": "01"},
    ),
    "cart.item_not_found": Explained("The cart does not hold it.", "/api/cart/items/01", "It is not in the cart."),
    "cart.already_ordered": Explained(
        "Another checkout, perhaps from another window, has ordered what the cart holds, or is about to. It is not "
        "ordered twice.",
        "/api/cart/checkout",
        "What the cart holds was ordered already, or is being ordered right now. Look at your orders.",
    ),
    "cart.empty": Explained("There is nothing to order.", "/api/cart/checkout", "The cart is empty."),
    "cart.price_changed": Explained(
        "Prices rose since the customer saw the total. Nothing is ordered at a price that nobody agreed to.",
        "/api/cart/checkout",
        "The total is higher than you expected. Look at the new quote and confirm it.",
        {"total": "21.40", "expected_total": "19.90", "currency": "EUR"},
    ),
    "order.not_found": Explained(
        "You have no such order. Whether another user has it is not told.",
        "/api/orders/01",
        "There is no such order.",
    ),
    "order.invalid_transition": Explained(
        "What was asked does not fit the order's state: a shipped order, for one, cannot be cancelled.",
        "/api/orders/01/cancel",
        "The order is not in a state that allows this.",
        {"status": "shipped"},
    ),
    "order.payment_declined": Explained(
        "The bank or card said no. Nothing was ordered, charged or kept aside.",
        "/api/orders",
        "The payment was declined. Nothing was ordered.",
    ),
    "order.mixed_currencies": Explained(
        "The items are priced in more than one currency, and an order has one total.",
        "/api/orders",
        "The items are priced in different currencies; order them separately.",
    ),
}

EXPLAINED: dict[str, Explained] = {**_OF_REQUESTS, **_OF_REPEATING, **_OF_ACCOUNTS, **_OF_THE_SHOP}
