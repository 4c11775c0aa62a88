"""A customer, an administrator and a broker's intruder, as tests need them: each says only what matters."""

import itertools
import secrets
from contextlib import ExitStack, contextmanager

import httpx

from tests.builders.waiting import eventually

PASSWORD = "correct horse battery staple"

_numbers = itertools.count()


def unique(word="t"):
    return f"{word}{next(_numbers)}-{secrets.token_hex(4)}"


class Client(httpx.Client):
    """An HTTP client of the edge, perhaps with a token; ``key=`` sends an Idempotency-Key."""

    def __init__(self, stack, *, token=None, **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(base_url=stack.edge_url, headers=headers, timeout=30, **options)

    def ordering(self, *lines, key=None, **body):
        """POST /api/orders with ``(product_id, quantity)`` lines."""
        items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
        return self.post(
            "/api/orders", json={"items": items, **body}, headers={"Idempotency-Key": key or unique("key")}
        )

    def checkout(self, *, key=None, **body):
        return self.post("/api/cart/checkout", json=body, headers={"Idempotency-Key": key or unique("key")})


def settled(send, *, unsettled=(409, 503, 504), within=60.0):
    """The answer for good of what ``send`` asks: repeated while it is still running, turned away, or unknown.

    A machine that is starved says so now and then, and is right to: this is what a good client does then. Whoever asks
    for a change sends the same key each time. What the problem document does not call ``retryable`` is for good.
    """

    def look():
        answer = send()
        return None if answer.status_code in unsettled and answer.json()["retryable"] else answer

    return eventually(look, within=within, every=0.3, what="an answer for good")


def ordered(client, *lines):
    """What becomes of one order of ``(product_id, quantity)`` lines."""
    key = unique("key")
    return settled(lambda: client.ordering(*lines, key=key))


def registered(stack):
    """A new user's registration body, done."""
    name = unique("user")
    body = {"username": name, "password": PASSWORD, "password2": PASSWORD, "email": f"{name}@example.com"}
    with Client(stack) as client:
        answer = settled(lambda: client.post("/api/users", json=body, headers={"Idempotency-Key": name}))
    assert answer.status_code == 201, answer.text
    return body | answer.json()


def logged_in(stack, user=None, **body):
    """The token pair of a user (a new one, when none is given)."""
    user = user or registered(stack)
    credentials = {"username": user["username"], "password": user["password"]}
    with Client(stack) as client:
        answer = settled(lambda: client.post("/api/token", json=credentials | body))
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextmanager
def devices(stack, count):
    """So many clients of one customer."""
    token = logged_in(stack)["access"]
    with ExitStack() as opened:
        yield [opened.enter_context(Client(stack, token=token)) for _ in range(count)]


def a_customer(stack):
    return Client(stack, token=logged_in(stack)["access"])


def an_admin(stack):
    who = {"username": stack.admin_username, "password": stack.admin_password}
    return Client(stack, token=logged_in(stack, who)["access"])


def a_product(admin, **fields):
    """A new product; ``stock=1`` and so on are what matters."""
    key = {"Idempotency-Key": unique("key")}
    category = settled(lambda: admin.get("/api/categories")).json()[0]["id"]
    body = {"name": unique("Thing "), "description": "", "price": "9.50", "category_id": category, "stock": 100}
    answer = settled(lambda: admin.post("/api/products", json=body | fields, headers=key))
    assert answer.status_code == 201, answer.text
    return answer.json()


def assert_problem(answer, status, code=None):
    """The documented problem document, whole, and nothing from inside."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"} <= problem.keys()
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    if code:
        assert problem["code"] == code, answer.text
    return problem
