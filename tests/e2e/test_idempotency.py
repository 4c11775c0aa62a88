"""A key means one effect and one answer, byte for byte, on every route that changes something."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import httpx
import pytest

from edge.routes import load
from edge.settings import PACKAGED_ROUTES
from tests.builders.shop import PASSWORD, Client, a_product, assert_problem, logged_in, registered, settled, unique
from tests.e2e.test_description import an_administrator

ENDS_ITS_CALLER = {"log_out"}
"""Afterwards its token counts no more, not even for an answer."""

TABLE = {route.policy.name: route for route in load(PACKAGED_ROUTES).routes if route.mutating and not route.policy.http}
NEVER_KEPT = {name for name, route in TABLE.items() if route.policy.idempotency == "ignored"}
"""Their answers are secrets, so nobody remembers them."""

OF_THE_ANSWER = ("content-type", "etag", "location", "cache-control", "x-cart-token")


@dataclass(frozen=True)
class Asked:
    """One request, what else it could be, and what happens before it is repeated, so that a new answer would differ."""

    path: str
    body: object = None
    other_path: str | None = None
    other_body: object = None
    headers: dict = field(default_factory=dict)
    other_headers: dict = field(default_factory=dict)
    meanwhile: object = staticmethod(lambda: None)

    def other(self):
        return replace(
            self,
            path=self.other_path or self.path,
            body=self.other_body or self.body,
            headers=self.headers | self.other_headers,
        )


@pytest.fixture(scope="module")
def shop(stack):
    """An administrator, two customers and a product that is there throughout."""
    admin = Client(stack, token=an_administrator(stack)[0])
    colleague = Client(stack, token=an_administrator(stack)[0])
    user = registered(stack)
    token = logged_in(stack, user)["access"]
    one, two = Client(stack, token=token), Client(stack, token=logged_in(stack)["access"])
    guest, stranger = (Client(stack, transport=httpx.HTTPTransport(local_address=f"127.0.9.{n}")) for n in (1, 2))
    with admin, colleague, one, two, guest, stranger:
        yield SimpleNamespace(
            stack=stack, admin=admin, colleague=colleague, one=one, two=two, guest=guest, stranger=stranger, user=user,
            product=a_product(admin)["id"], another=a_product(admin)["id"],
        )  # fmt: skip


def an_account():
    name = unique("user")
    return {"username": name, "password": PASSWORD, "password2": PASSWORD, "email": f"{name}@example.com"}


def adding(shop, product, quantity=1, client=None):
    answer = (client or shop.one).post("/api/cart/items", json={"product_id": product, "quantity": quantity})
    assert answer.status_code == 200, answer.text
    return answer


def with_cart(shop, **asked):
    """In a cart of two products, to which more is added before the repetition."""
    shop.one.delete("/api/cart")
    adding(shop, shop.product, 2)
    adding(shop, shop.another, 3)
    return Asked(**asked, meanwhile=lambda: adding(shop, shop.product, 5))


def a_guest_cart(shop):
    with Client(shop.stack) as guest:
        return adding(shop, shop.product, client=guest).headers["x-cart-token"]


def an_order(shop):
    return shop.one.ordering((shop.product, 1)).json()["id"]


def a_session(shop):
    before = {one["id"] for one in shop.one.get("/api/users/me/sessions").json()}
    logged_in(shop.stack, shop.user)
    after = {one["id"] for one in shop.one.get("/api/users/me/sessions").json()}
    return (after - before).pop()


def a_change(shop):
    product = a_product(shop.admin)["id"]

    def meanwhile():
        assert shop.admin.patch(f"/api/products/{product}", json={"name": "Meanwhile"}).status_code == 200

    return f"/api/products/{product}", meanwhile


def updating(shop):
    path, meanwhile = a_change(shop)
    return Asked(path, {"price": "3.10"}, other_body={"price": "3.20"}, meanwhile=meanwhile)


def stocking(shop):
    path, meanwhile = a_change(shop)
    return Asked(
        f"{path}/stock",
        {"on_hand": 40, "expected": 100},
        other_body={"on_hand": 41, "expected": 100},
        meanwhile=meanwhile,
    )


def creating(shop):
    body = {"name": unique("Thing "), "description": "", "price": "9.50", "stock": 1}
    body |= {"category_id": shop.admin.get("/api/categories").json()[0]["id"]}
    return Asked("/api/products", body, other_body=body | {"stock": 2})


def configuring(shop):
    text = shop.admin.get("/admin/routes").json()["text"]
    return Asked("/admin/config?dry_run=true", text, other_body=f"{text}\n# another\n")


def profiling(shop):
    return Asked(
        "/api/users/me",
        {"first_name": unique("A")},
        other_body={"first_name": "Eve"},
        meanwhile=lambda: shop.one.patch("/api/users/me", json={"last_name": unique("B")}),
    )


def registering(_shop):
    body = an_account()
    return Asked("/api/users", body, other_body=body | {"first_name": "Other"})


def checking_out(shop):
    return with_cart(shop, path="/api/cart/checkout", body={}, other_body={"expected_total": "900.00"})


def ordering(shop):
    wanted = [{"product_id": shop.product, "quantity": 1}]
    return Asked("/api/orders", {"items": wanted}, other_body={"items": [*wanted, *wanted]})


def changing_password(_shop):
    same = dict.fromkeys(("current_password", "password", "password2"), PASSWORD)
    return Asked("/api/users/me/password", same, other_body=same | {"current_password": PASSWORD.upper()})


def merging(shop):
    body, other = ({"cart_token": a_guest_cart(shop)} for _ in range(2))
    return with_cart(shop, path="/api/cart/merge", body=body, other_body=other)


def in_cart(shop, **asked):
    items = "/api/cart/items"
    return with_cart(shop, path=f"{items}/{shop.product}", other_path=f"{items}/{shop.another}", **asked)


SCENES = {
    "register_user": registering,
    "update_profile": profiling,
    "change_password": changing_password,
    "end_session": lambda shop: Asked(
        f"/api/users/me/sessions/{a_session(shop)}", other_path="/api/users/me/sessions/other"
    ),
    "create_product": creating,
    "update_product": updating,
    "delete_product": lambda shop: Asked(a_change(shop)[0], other_path=a_change(shop)[0]),
    "set_stock": stocking,
    "add_cart_item": lambda shop: with_cart(
        shop,
        path="/api/cart/items",
        body={"product_id": shop.product, "quantity": 1},
        other_body={"product_id": shop.product, "quantity": 2},
    ),
    "set_cart_item": lambda shop: in_cart(shop, body={"quantity": 7}),
    "remove_cart_item": in_cart,
    "clear_cart": lambda shop: with_cart(shop, path="/api/cart", other_headers={"If-Match": '"1"'}),
    "merge_carts": merging,
    "checkout": checking_out,
    "place_order": ordering,
    "cancel_order": lambda shop: Asked(
        f"/api/orders/{an_order(shop)}/cancel", other_path=f"/api/orders/{an_order(shop)}/cancel"
    ),
    "put_config": configuring,
    "purge_cache": lambda shop: Asked(
        "/admin/cache/purge", {"tag": f"product:{shop.product}"}, other_body={"tag": "categories"}
    ),
    "set_breaker": lambda _shop: Asked(
        "/admin/breakers/notification",
        {"state": "automatic"},
        other_body={"state": "automatic", "method": "list_notifications"},
    ),
}


def send(client, name, asked, key):
    headers = asked.headers | ({"Idempotency-Key": key} if key else {})
    if isinstance(asked.body, str):
        content = {"content": asked.body.encode(), "headers": headers | {"Content-Type": "application/yaml"}}
    else:
        content = {"headers": headers} | ({} if asked.body is None else {"json": asked.body})
    return client.request(TABLE[name].policy.method, asked.path, **content)


def callers_of(shop, name):
    policy = TABLE[name].policy
    if policy.auth == "none":
        return shop.guest, shop.stranger
    return (shop.admin, shop.colleague) if policy.scopes else (shop.one, shop.two)


def said(answer):
    return answer.status_code, answer.content, [answer.headers.get(name) for name in OF_THE_ANSWER]


def is_replayed(answer):
    return answer.headers.get("idempotency-replayed") == "true"


KEPT = sorted(TABLE.keys() - NEVER_KEPT - ENDS_ITS_CALLER)


@pytest.mark.parametrize("name", KEPT)
def test_a_key_is_answered_once_and_belongs_to_its_request_and_to_its_caller(shop, name):
    asked, key = SCENES[name](shop), unique("key")
    caller, somebody_else = callers_of(shop, name)

    first = send(caller, name, asked, key)
    asked.meanwhile()
    again = send(caller, name, asked, key)
    reused = send(caller, name, asked.other(), key)
    others = send(somebody_else, name, asked, key)

    assert first.is_success, first.text
    assert not is_replayed(first)
    assert said(again) == said(first)
    assert is_replayed(again)
    assert_problem(reused, 422, "idempotency.key_reused")
    assert not is_replayed(others)
    assert others.status_code != 422, others.text


@pytest.mark.parametrize("name", KEPT)
def test_a_key_that_comes_twice_at_once_has_one_answer(shop, name):
    asked, key = SCENES[name](shop), unique("key")
    caller, _ = callers_of(shop, name)

    def try_it():
        return settled(lambda: send(caller, name, asked, key), unsettled=(503, 504))

    with ThreadPoolExecutor(4) as threads:
        answers = [running.result() for running in [threads.submit(try_it) for _ in range(4)]]

    waiting = [answer for answer in answers if answer.status_code == 409]
    done = [answer for answer in answers if answer not in waiting]
    for answer in waiting:
        assert_problem(answer, 409, "idempotency.still_running")
        assert int(answer.headers["retry-after"]) >= 1
    assert len({answer.content for answer in done}) == 1, [answer.text for answer in done]
    assert [is_replayed(answer) for answer in done].count(False) == 1
    assert done[0].is_success, done[0].text


@pytest.mark.parametrize("name", [name for name, route in TABLE.items() if route.policy.idempotency == "required"])
def test_where_a_key_is_required_nothing_happens_without(shop, name):
    asked = SCENES[name](shop)

    assert_problem(send(callers_of(shop, name)[0], name, asked, None), 400, "idempotency.key_required")


def test_an_order_is_not_placed_without_a_key_and_neither_is_a_cart_checked_out():
    assert {name for name, route in TABLE.items() if route.policy.idempotency == "required"} == {
        "place_order",
        "checkout",
    }
    assert {route.policy.idempotency for route in TABLE.values()} == {"accepted", "required", "ignored"}


def test_a_key_is_ignored_where_the_answers_are_tokens_and_nowhere_else():
    assert {"log_in", "refresh_tokens", "grant_token"} == NEVER_KEPT


@pytest.mark.parametrize(
    "key",
    ["x" * 255, '"quoted key"', "a b", "~!#$%^&*()", '"with \\" and \\\\"'],
    ids=["longest", "quoted", "spaced", "odd", "escaped"],
)
def test_every_well_formed_key_is_taken(shop, key):
    asked = Asked("/api/users/me", {"first_name": unique("A")})
    word = unique("k")
    key = f'"{word}{key[1:]}' if key.startswith('"') else (word + key)[: max(len(key), 40)]

    first, again = (send(shop.one, "update_profile", asked, key) for _ in range(2))

    assert said(first) == said(again)
    assert [is_replayed(first), is_replayed(again)] == [False, True]


@pytest.mark.parametrize(
    "key",
    ["x" * 256, "", '""', '"open', "a\tb", "caf\u00e9".encode()],
    ids=["long", "none", "empty", "open", "tab", "utf8"],
)
def test_every_other_key_is_refused_and_changes_nothing(shop, key):
    before = shop.one.get("/api/users/me").json()

    answer = shop.one.patch("/api/users/me", json={"first_name": "Never"}, headers={"Idempotency-Key": key})

    assert_problem(answer, 400, "idempotency.key_invalid")
    assert shop.one.get("/api/users/me").json() == before


def test_a_refusal_is_an_answer_too(shop):
    """But for the id of the request, under which only this one is found in the logs."""
    product = a_product(shop.admin, stock=1)["id"]
    path, key = f"/api/products/{product}", unique("key")
    asked = Asked("/api/orders", {"items": [{"product_id": product, "quantity": 2}]})
    in_vain = Asked(f"/api/cart/items/{product}", {"quantity": 2})

    first = send(shop.one, "place_order", asked, key)
    missing = send(shop.one, "set_cart_item", in_vain, key)
    shop.admin.put(f"{path}/stock", json={"on_hand": 50, "expected": 1})
    adding(shop, product)
    again = send(shop.one, "place_order", asked, key)
    missing_again = send(shop.one, "set_cart_item", in_vain, key)

    for before, after in ((first, again), (missing, missing_again)):
        one, two = ({**answer.json(), "request_id": ""} for answer in (before, after))
        assert one == two
        assert [is_replayed(before), is_replayed(after)] == [False, True]
    assert (first.status_code, missing.status_code) == (409, 404)
    assert send(shop.one, "place_order", asked, unique("key")).status_code == 201


def test_a_request_that_was_refused_at_the_door_did_not_use_its_key(shop):
    key, body = unique("key"), {"items": [{"product_id": shop.product, "quantity": 1}]}

    bad = send(shop.one, "place_order", Asked("/api/orders", {"items": []}), key)
    good = send(shop.one, "place_order", Asked("/api/orders", body), key)

    assert (bad.status_code, good.status_code) == (400, 201)


def test_two_guests_may_have_the_same_key_and_one_who_has_no_cart_yet_is_nobody_in_particular(shop):
    key, asked = unique("key"), Asked("/api/cart/items", {"product_id": shop.product, "quantity": 1})
    carts = [replace(asked, headers={"X-Cart-Token": a_guest_cart(shop)}) for _ in range(2)]

    firsts = [send(shop.guest, "add_cart_item", cart, key) for cart in carts]
    agains = [send(shop.guest, "add_cart_item", cart, key) for cart in carts]
    strangers = [send(shop.guest, "add_cart_item", asked, key) for _ in range(2)]

    assert [said(answer) for answer in firsts] == [said(answer) for answer in agains]
    assert [is_replayed(answer) for answer in (*firsts, *agains, *strangers)] == [False] * 2 + [True] * 2 + [False] * 2
    assert len({answer.headers["x-cart-token"] for answer in strangers}) == 2


def test_tokens_are_never_remembered(shop):
    body, key = {"username": shop.user["username"], "password": PASSWORD}, unique("key")

    answers = [shop.guest.post("/api/token", json=body, headers={"Idempotency-Key": key}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(map(is_replayed, answers))
    assert answers[0].json()["refresh"] != answers[1].json()["refresh"]


def test_one_logout_does_not_stand_for_that_of_another_session(shop):
    key = {"Idempotency-Key": unique("key")}
    tokens = [logged_in(shop.stack, shop.user)["access"] for _ in range(2)]

    answers = [
        shop.guest.post("/api/token/revoke", headers=key | {"Authorization": f"Bearer {token}"}) for token in tokens
    ]

    assert answers[0].status_code == 204
    assert_problem(answers[1], 422, "idempotency.key_reused")


def test_a_cart_that_two_windows_check_out_at_once_is_ordered_once(shop):
    checking_out(shop)
    before = {order["id"] for order in shop.one.get("/api/orders?limit=100").json()}

    def check_out():
        key = unique("key")
        return settled(lambda: shop.one.checkout(key=key))

    with ThreadPoolExecutor(8) as threads:
        answers = [running.result() for running in [threads.submit(check_out) for _ in range(8)]]

    placed = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {order["id"] for order in shop.one.get("/api/orders?limit=100").json()} - before == placed
    assert len(placed) == 1
    for answer in refused:
        assert assert_problem(answer, 409)["code"] in {"cart.already_ordered", "cart.empty"}
