"""The shop's first page in one call, from three services at once."""

from tests.builders.shop import Client, a_product, settled, unique
from tests.builders.waiting import eventually


def put_into_cart(customer, product, *, quantity):
    key = {"Idempotency-Key": unique("key")}
    item = {"product_id": product["id"], "quantity": quantity}
    return settled(lambda: customer.post("/api/cart/items", json=item, headers=key))


def whole_home(client, **options):
    """The page with nothing missing: on a busy machine a part may be late now and then, and is left out."""
    return eventually(lambda: (answer := client.get("/api/home", **options)).json().get("unavailable") == [] and answer)


def test_a_customer_finds_new_products_the_cart_and_the_last_orders_as_their_own_pages_show_them(
    stack, customer, admin
):
    product = a_product(admin, price="2.00", stock=5)
    for _ in range(2):
        put_into_cart(customer, product, quantity=1)
        key = unique("key")
        assert settled(lambda k=key: customer.checkout(key=k)).status_code == 201
    put_into_cart(customer, product, quantity=2)

    home = whole_home(customer)

    assert home.status_code == 200
    assert list(home.json()) == ["featured", "cart", "orders", "unavailable", "refused", "skipped"]
    assert product["id"] in [each["id"] for each in home.json()["featured"]]
    assert home.json()["cart"] == customer.get("/api/cart").json()
    assert home.json()["orders"] == customer.get("/api/orders", params={"limit": 3}).json()
    assert len(home.json()["orders"]) == 2
    assert home.json()["unavailable"] == []


def test_a_guest_finds_products_and_with_a_token_the_cart_behind_it(stack, client, admin):
    product = a_product(admin, price="2.00", stock=5)
    put = put_into_cart(client, product, quantity=1)
    with Client(stack) as stranger:
        nobody = whole_home(stranger).json()
        guest = whole_home(stranger, headers={"X-Cart-Token": put.headers["x-cart-token"]}).json()
        lost = whole_home(stranger, headers={"X-Cart-Token": "x" * 43})

    assert (nobody["cart"], nobody["orders"], nobody["unavailable"]) == (None, None, [])
    assert nobody["skipped"] == ["cart", "orders"]
    assert product["id"] in [each["id"] for each in nobody["featured"]]
    assert [line["product_id"] for line in guest["cart"]["items"]] == [product["id"]]
    assert (lost.status_code, lost.json()["unavailable"], lost.json()["refused"]) == (200, [], ["cart"])
