import pytest

from edge.routes import BadRoutes, compiled
from edge.targets.declared import DECLARED
from edge.targets.oauth_types import GrantedToken
from edge.unheard import KEEP_NO_ANSWER
from shared.contracts.identity import TokenPair
from tests.builders.gateway import a_route as passed_on
from tests.builders.tables import a_page, a_route, table_text

ORDERS = {
    "name": "list_orders", "path": "/orders", "call": "order.list_orders", "auth": "required",
    "arguments": {"user_id": "caller.user_id", "cursor": "query"},
}  # fmt: skip
CART = {"name": "cart", "path": "/cart", "call": "cart.get_cart", "arguments": {}}
CATEGORIES = {"name": "categories", "path": "/categories", "call": "catalog.list_categories", "arguments": {}}
GONE = {
    "name": "gone", "method": "DELETE", "call": "catalog.delete_product", "auth": "required", "idempotency": "accepted",
    "arguments": {"product_id": "path", "expected_version": "if-match"},
}  # fmt: skip
LOG_OUT = {
    "name": "log_out", "method": "POST", "path": "/log_out", "call": "left out", "local": "log_out", "auth": "required",
    "idempotency": "accepted", "arguments": {"session_id": "caller.session_id", "user_id": "caller.user_id"},
}  # fmt: skip


def faults_of(*routes):
    try:
        compiled(table_text(*routes))
    except BadRoutes as refused:
        return [fault.detail for fault in refused.faults]
    return []


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ({}, {"hide": ["sku"], "headers": {"X-Stock": "stock"}, "etag": "version", "location": "/p/{id}/{product_id}"}),
        (CART, {"headers": {"x-cart-token": "cart_token"}, "cache_control": "private, max-age=5, must-revalidate"}),
        (ORDERS, {"page": True, "hide": ["version"], "etag": "content"}),
        (CATEGORIES, {"hide": ["name"], "etag": "content"}),
        (GONE, {"status": 204, "cache_control": "no-store"}),
    ],
    ids=lambda value: value.get("name", ""),
)
def test_names_of_members_that_the_contract_has_are_in_order(route, answer):
    assert faults_of(a_route(**route, answer=answer)) == []


@pytest.mark.parametrize(
    ("route", "answer", "fault"),
    [
        ({}, {"hide": ["name", "nmae"]}, "/answer/hide/1: there is no 'nmae'"),
        (ORDERS, {"page": True, "hide": ["verison"]}, "/answer/hide/0: there is no 'verison'"),
        (ORDERS, {"page": True, "hide": ["items", "next_cursor"]}, "/answer/hide/1: there is no 'next_cursor'"),
        (CATEGORIES, {"hide": ["nmae"]}, "/answer/hide/0: there is no 'nmae'"),
        (CART, {"headers": {"X-Cart-Token": "cart_tokn"}}, "/answer/headers/X-Cart-Token: there is no 'cart_tokn'"),
        (CART, {"headers": {"X-Lines": "items"}}, "/answer/headers/X-Lines: 'items' is more than a header can tell"),
        (ORDERS, {"page": True, "headers": {"X-Number": "number"}}, "there is no 'number'"),
        (CATEGORIES, {"headers": {"X-Name": "name"}}, "/answer/headers/X-Name: there is no 'name'"),
        ({}, {"location": "/api/products/{nope}"}, "/answer/location: there is no 'nope'"),
        ({}, {"location": "/api/{category}"}, "/answer/location: 'category' is more than"),
        ({}, {"location": "/api/{id.__class__}"}, "/answer/location: this is no template"),
        ({}, {"location": "/api/{id"}, "/answer/location: this is no template"),
        ({}, {"location": "/api/products/{id}\r\nSet-Cookie: a=b"}, "/answer/location: Text of another form"),
        ({}, {"location": "elsewhere/{id}"}, "/answer/location: Text of another form"),
        (CATEGORIES, {"etag": "version"}, "/answer/etag: the answer has no version"),
        (ORDERS, {"page": True, "etag": "version"}, "/answer/etag: the answer has no version"),
        ({}, {"headers": {"Bad Name": "sku"}}, "/answer/headers/Bad Name: Text of another form"),
        ({}, {"headers": {"X-A\r\nSet-Cookie": "sku"}}, "/answer/headers/X-A\r\nSet-Cookie: Text of another form"),
        ({}, {"headers": {"Content-Length": "sku"}}, "/answer/headers/Content-Length: 'Content-Length' is not for"),
        ({}, {"headers": {"Set-Cookie": "sku"}}, "is not for a route to write"),
        ({}, {"headers": {"Access-Control-Allow-Origin": "sku"}}, "is not for a route to write"),
        ({}, {"headers": {"ETag": "sku"}}, "is not for a route to write"),
        ({}, {"headers": {"Location": "sku"}}, "is not for a route to write"),
        ({}, {"headers": {"X-User-Id": "sku"}}, "is not for a route to write"),
        ({}, {"headers": {"X-A": "sku", "x-a": "name"}}, "/answer/headers/x-a: 'x-a' is written twice"),
        ({}, {"cache_control": "x\r\nSet-Cookie: a=b"}, "/answer/cache_control: Text of another form"),
        ({}, {"cache_control": ""}, "/answer/cache_control: Text of another form"),
        ({}, {"cache_control": "private, no-stroe"}, "/answer/cache_control: there is no directive 'no-stroe'"),
        ({"arguments": {"product_id": "path", "cursor": "query"}}, {"page": True}, "/answer/page: this target gives"),
        (GONE, {"status": 204, "etag": "content"}, "/answer/etag: an answer 204 has none"),
        (GONE, {"status": 204, "location": "/api/products/{product_id}"}, "/answer/location: an answer 204 has none"),
    ],
)
def test_a_name_that_is_wrong_never_starts(route, answer, fault):
    told = faults_of(a_route(**route, answer=answer))

    assert [reason for reason in told if fault in reason], told


def test_the_words_of_an_answer_are_looked_at_whatever_the_route_leads_to():
    typo = {"hide": ["usr_id"]}

    assert faults_of(a_route(**LOG_OUT, answer=typo)) == ["/answer/hide/0: there is no 'usr_id' in the answer"]
    assert faults_of(a_page(answer=typo)) == ["/answer/hide: 'alive' does not go by this: leave it out"]
    assert "/answer/hide" in faults_of(passed_on(answer=typo))[0]


@pytest.mark.parametrize("local", ["alive", "docs", "status_json", "show_routes"])
def test_a_target_that_says_itself_how_long_it_may_be_kept_is_not_told_in_vain(local):
    words = {"auth": "required", "scopes": ["edge:admin"]} if local == "show_routes" else {}

    assert faults_of(a_page(local, **words, answer={"cache_control": "public, max-age=5"})) == [
        f"/answer/cache_control: '{local}' does not go by this: leave it out"
    ]


@pytest.mark.parametrize(
    ("word", "value", "instead"),
    [
        ("hide", ["secret"], "drop: [NAME]"),
        ("headers", {"X-Sku": "sku"}, "set: {NAME: VALUE}"),
        ("status", 200, "says this itself"),
        ("etag", "none", "says this itself"),
        ("location", "/things/{id}", "says this itself"),
        ("page", False, "says this itself"),
        ("cache_control", "no-store", "only where 'cache' keeps"),
    ],
)
def test_what_a_service_that_speaks_http_answers_is_not_promised_to_be_changed(word, value, instead):
    (fault,) = faults_of(passed_on(answer={word: value}))

    assert fault.startswith(f"/answer/{word}: ")
    assert instead in fault


def test_where_answers_are_kept_the_route_says_what_the_service_leaves_open():
    kept = {"cache": {"ttl": 5}, "answer": {"cache_control": "public, max-age=5"}}

    assert faults_of(passed_on(**kept)) == []


LOG_IN = LOG_OUT | {
    "name": "log_in", "path": "/log_in", "local": "log_in", "auth": "none",
    "arguments": {"username": "body", "password": "body", "client_address": "caller.address"},
}  # fmt: skip
REFRESH = {
    "name": "refresh", "method": "POST", "path": "/refresh", "call": "identity.refresh_tokens",
    "arguments": {"refresh": "body"},
}  # fmt: skip
GRANT = LOG_OUT | {
    "name": "grant", "path": "/grant", "local": "grant_token", "auth": "none", "body": "form",
    "arguments": dict.fromkeys(("grant_type", "scope", "refresh_token", "client_id", "client_secret"), "body"),
}  # fmt: skip


@pytest.mark.parametrize("route", [LOG_IN, REFRESH, GRANT], ids=["local", "call", "form"])
def test_a_key_is_not_promised_to_count_where_the_answers_are_secrets(route):
    vain = "/idempotency: the answers are secrets that nobody keeps: say 'ignored'"

    assert faults_of(a_route(**route | {"idempotency": "accepted"})) == [vain]
    assert faults_of(a_route(**route | {"idempotency": "required"})) == [vain]
    assert faults_of(a_route(**route | {"idempotency": "ignored"})) == []


def test_a_key_is_ignored_nowhere_else():
    told = faults_of(a_route(**LOG_OUT | {"idempotency": "ignored"}), a_route(**GONE | {"idempotency": "ignored"}))

    assert told == ["/idempotency: answers are kept here: say 'accepted' or 'required'"] * 2
    assert faults_of(passed_on(name="send", method="POST", idempotency="ignored")) == [
        "/idempotency: the service has the key and decides: say 'none' if it has no use for it"
    ]
    assert any("changes something" in fault for fault in faults_of(a_route(idempotency="ignored")))


def test_a_route_that_leads_nowhere_is_told_that_alone():
    assert faults_of(a_route(method="POST", call="identity.no_such", idempotency="accepted")) == [
        "/call: identity has no method 'no_such'"
    ]


def test_a_body_has_one_limit_and_it_stands_where_the_body_is_looked_at():
    changes = {"transforms": {"request": {"json": {"set": {"channel": "web"}}}}}
    sends = {"name": "send", "method": "POST", "idempotency": "accepted"}
    default = 16_384

    assert faults_of(passed_on(**sends, http={"body_limit": 10})) == []
    assert faults_of(passed_on(**sends, **changes, body_limit=10)) == []
    assert faults_of(passed_on(**sends, body_limit=default)) == [
        "/body_limit: the body is passed on: say it in 'http: {body_limit: BYTES}'"
    ]
    assert faults_of(passed_on(**sends, **changes, http={"body_limit": 10})) == [
        "/http/body_limit: the body is read here, to be changed: say the route's own 'body_limit'"
    ]

    assert faults_of(passed_on(http={"body_limit": 10})) == ["/http/body_limit: a GET has no body: leave it out"]


def test_every_target_that_gives_tokens_is_known_to_keep_none():
    assert {name for name, target in DECLARED.items() if target.answer in {TokenPair, GrantedToken}} == KEEP_NO_ANSWER
