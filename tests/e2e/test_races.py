"""Twenty clicks, fifty buyers: what happens at once still happens once."""

from concurrent.futures import ThreadPoolExecutor

from tests.builders.shop import Client, a_customer, a_product, devices, logged_in, ordered, registered, settled, unique
from tests.builders.waiting import eventually
from tests.e2e.test_journey import mails


def at_once(calls):
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


def added(customer, product, *, quantity=1):
    """What becomes of putting this into the cart once."""
    key = {"Idempotency-Key": unique("key")}
    item = {"product_id": product["id"], "quantity": quantity}
    return settled(lambda: customer.post("/api/cart/items", json=item, headers=key))


def stock_of(client, product):
    return settled(lambda: client.get(f"/api/products/{product['id']}")).json()["stock"]


def test_the_same_checkout_twenty_times_is_one_order_one_mail_and_one_decrement(stack, admin, client):
    product = a_product(admin, stock=50)
    user = registered(stack)
    key = unique("key")
    with Client(stack, token=logged_in(stack, user)["access"]) as customer:
        added(customer, product, quantity=2)

        answers = at_once([lambda: settled(lambda: customer.checkout(key=key))] * 20)

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(settled(lambda: customer.get("/api/orders")).json()) == 1
    assert stock_of(client, product) == 48
    assert len(eventually(lambda: mails(stack, user["email"]))) == 1


def test_the_last_one_goes_to_one_of_fifty_buyers(stack, admin, client):
    product = a_product(admin, stock=1)
    with devices(stack, 50) as buyers:
        answers = at_once([lambda buyer=buyer: ordered(buyer, (product["id"], 1)) for buyer in buyers])

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"catalog.out_of_stock"}
    assert stock_of(client, product) == 0


def test_a_key_belongs_to_its_caller_and_to_its_request(stack, admin):
    product = a_product(admin, stock=50)
    key = unique("key")
    with a_customer(stack) as one, a_customer(stack) as other:
        first = settled(lambda: one.ordering((product["id"], 1), key=key))
        foreign = settled(lambda: other.ordering((product["id"], 1), key=key))
        changed = settled(lambda: one.ordering((product["id"], 2), key=key))

    assert first.status_code == foreign.status_code == 201
    assert first.json()["id"] != foreign.json()["id"]
    assert changed.status_code == 422
    assert changed.json()["code"] == "idempotency.key_reused"


def test_ninety_adds_from_many_devices_add_up(stack, admin):
    product = a_product(admin, stock=500)
    with devices(stack, 9) as clients:
        answers = at_once([lambda c=c: [added(c, product) for _ in range(10)] for c in clients])
        cart = settled(lambda: clients[0].get("/api/cart")).json()

    assert not [answer.text for batch in answers for answer in batch if answer.status_code != 200]
    assert cart["items"][0]["quantity"] == 90
    assert cart["version"] == 90


def test_baskets_in_opposite_order_never_deadlock(stack, admin):
    first, second = a_product(admin, stock=1000), a_product(admin, stock=1000)
    lines = [(first["id"], 1), (second["id"], 1)]

    with devices(stack, 20) as clients:
        answers = at_once(
            [lambda c=c, way=way: ordered(c, *lines[::way]) for c, way in zip(clients, [1, -1] * 10, strict=True)]
        )

    assert [answer.status_code for answer in answers] == [201] * 20
