"""The shop's first page in one call, from three services at once."""

from tests.builders.shop import Client, a_product


def test_a_customer_finds_new_products_the_cart_and_the_last_orders_as_their_own_pages_show_them(
    stack, customer, admin
):
    product = a_product(admin, price="2.00", stock=5)
    for _ in range(2):
        customer.post("/api/cart/items", json={"product_id": product["id"], "quantity": 1})
        assert customer.checkout().status_code == 201
    customer.post("/api/cart/items", json={"product_id": product["id"], "quantity": 2})

    home = customer.get("/api/home")

    assert home.status_code == 200
    assert list(home.json()) == ["featured", "cart", "orders", "unavailable"]
    assert product["id"] in [each["id"] for each in home.json()["featured"]]
    assert home.json()["cart"] == customer.get("/api/cart").json()
    assert home.json()["orders"] == customer.get("/api/orders", params={"limit": 3}).json()
    assert len(home.json()["orders"]) == 2
    assert home.json()["unavailable"] == []


def test_a_guest_finds_products_and_with_a_token_the_cart_behind_it(stack, client, admin):
    product = a_product(admin, price="2.00", stock=5)
    put = client.post("/api/cart/items", json={"product_id": product["id"], "quantity": 1})
    with Client(stack) as stranger:
        nobody = stranger.get("/api/home").json()
        guest = stranger.get("/api/home", headers={"X-Cart-Token": put.headers["x-cart-token"]}).json()
        lost = stranger.get("/api/home", headers={"X-Cart-Token": "x" * 43})

    assert (nobody["cart"], nobody["orders"], nobody["unavailable"]) == (None, None, [])
    assert product["id"] in [each["id"] for each in nobody["featured"]]
    assert [line["product_id"] for line in guest["cart"]["items"]] == [product["id"]]
    assert (lost.status_code, lost.json()["unavailable"]) == (200, [])
