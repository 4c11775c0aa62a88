"""Rows of the attack matrix that need the whole shop: orders whose state forbids it, and input that broke it once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.builders.shop import PASSWORD, a_product, assert_problem, devices, ordered, settled, unique
from tests.builders.waiting import eventually

MOVES = ("cancel", "pay", "ship", "deliver", "refund")


def moved(client, order, move):
    """What becomes of one attempt, of its own key, to bring the order on."""
    key = {"Idempotency-Key": unique("key")}
    return settled(lambda: client.post(f"/api/orders/{order['id']}/{move}", headers=key))


def stock_of(client, product):
    return settled(lambda: client.get(f"/api/products/{product['id']}")).json()["stock"]


def cancellations(client, order):
    steps = settled(lambda: client.get(f"/api/orders/{order['id']}/history")).json()
    return sum((step["axis"], step["after"]) == ("order", "cancelled") for step in steps)


def test_c10_of_ten_who_cancel_one_order_at_once_one_does_and_the_goods_come_back_once(stack, admin):
    product = a_product(admin, stock=5)
    with devices(stack, 10) as clients:
        order = ordered(clients[0], (product["id"], 3)).json()
        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(lambda client: moved(client, order, "cancel"), clients))

        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
        assert cancellations(clients[0], order) == 1
        assert eventually(lambda: stock_of(clients[0], product) == 5, what="the stock's return")


def test_c10_an_order_that_is_cancelled_stays_so_whoever_asks_for_what(customer, admin):
    product = a_product(admin, stock=5)
    order = ordered(customer, (product["id"], 1)).json()
    assert moved(customer, order, "cancel").status_code == 200
    eventually(lambda: stock_of(customer, product) == 5, what="the stock's return")

    for client in (customer, admin):
        for move in MOVES:
            answer = moved(client, order, move)
            assert answer.status_code in {403, 404, 409}, (move, answer.text)
            assert_problem(answer, answer.status_code)
    assert_problem(moved(customer, order, "cancel"), 409, "order.invalid_transition")

    after = settled(lambda: customer.get(f"/api/orders/{order['id']}")).json()
    assert (after["status"], cancellations(customer, order), stock_of(customer, product)) == ("cancelled", 1, 5)


@pytest.mark.parametrize("email", ["a@[x", "a@[x>y", 'a@["', "a@[127.0.0.1"])
def test_d07_an_address_that_only_begins_like_one_in_brackets_is_a_fault_of_that_field(client, customer, email):
    body = {"username": unique("odd"), "password": PASSWORD, "password2": PASSWORD, "email": email}

    for answer in (client.post("/api/users", json=body), customer.patch("/api/users/me", json={"email": email})):
        problem = assert_problem(answer, 400, "request.invalid")
        assert [fault["pointer"] for fault in problem["errors"]] == ["/email"]


LISTENING = "0A"
LOOPBACK = {"0100007F", "0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F"}


def listeners():
    """The addresses at which anybody on this machine listens, as the kernel writes them, by port."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, port = local.partition(":")
            if state == LISTENING:
                found.setdefault(int(port, 16), set()).add(address)
    return found


def ports_in(value):
    """Every port that a document of the stack names in an address of this machine."""
    if isinstance(value, dict):
        return set().union(*(ports_in(part) for part in value.values()))
    parts = urlsplit(value) if isinstance(value, str) and "://" in value else None
    return {parts.port} if parts and parts.port else set()


def test_c16_no_door_of_the_house_is_open_to_the_network(stack):
    ports, found = ports_in(stack.to_json()), listeners()

    assert len(ports) >= 12, ports
    assert {port: found[port] - LOOPBACK for port in ports} == {port: set() for port in ports}
