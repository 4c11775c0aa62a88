"""Rows of the attack matrix that need the whole shop: what leaks, and what is ordered of which cart."""

from tests.builders.shop import Client, a_customer, a_product, assert_problem, logged_in, registered, settled, unique


def added(customer, product, quantity=1):
    key = {"Idempotency-Key": unique("key")}
    item = {"product_id": product["id"], "quantity": quantity}
    return settled(lambda: customer.post("/api/cart/items", json=item, headers=key))


def members(value):
    """The names of all members of a JSON document, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for part in value.values() for name in members(part)}
    return {name for part in value for name in members(part)} if isinstance(value, list) else set()


def test_c03_no_answer_tells_a_password_a_hash_or_whose_database_row_it_is(stack, admin):
    product = a_product(admin, stock=5)
    user = registered(stack)
    with Client(stack, token=logged_in(stack, user)["access"]) as customer:
        order = customer.ordering((product["id"], 1)).json()
        paths = [
            "/api/users/me",
            "/api/users/me/sessions",
            "/api/cart",
            "/api/orders",
            "/api/notifications",
            "/api/home",
        ]
        answers = [settled(lambda path=path: customer.get(path)) for path in [*paths, f"/api/orders/{order['id']}"]]
        told = set().union(*(members(answer.json()) for answer in answers))

    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in told if any(word in name for word in ("password", "hash", "secret", "salt", "scopes"))]
    assert not any(user["password"] in answer.text for answer in answers)


def test_c09_an_empty_cart_orders_nothing(customer):
    answer = settled(customer.checkout)

    assert answer.status_code in {409, 422}
    assert_problem(answer, answer.status_code)
    assert customer.get("/api/orders").json() == []


def test_c09_a_cart_that_has_changed_is_not_ordered_as_it_was(customer, admin):
    product = a_product(admin, stock=5)
    added(customer, product)
    seen = settled(lambda: customer.get("/api/cart")).headers["etag"]
    added(customer, product)

    key = {"Idempotency-Key": unique("key"), "If-Match": seen}
    answer = settled(lambda: customer.post("/api/cart/checkout", json={}, headers=key))

    assert_problem(answer, 412)
    assert customer.get("/api/orders").json() == []


def test_c09_the_cart_of_another_cannot_be_named(stack, customer, admin):
    product = a_product(admin, stock=5)
    with a_customer(stack) as other:
        added(other, product)
        cart = settled(lambda: other.get("/api/cart")).json()

        named = customer.checkout(cart_id=cart["id"])
        headers = {"X-Cart-Token": cart["id"], "Idempotency-Key": unique("key")}
        shown = settled(lambda: customer.post("/api/cart/checkout", json={}, headers=headers))

        assert_problem(named, 400, "request.invalid")
        assert shown.status_code in {409, 422}
        assert settled(lambda: other.get("/api/cart")).json()["item_count"] == 1
