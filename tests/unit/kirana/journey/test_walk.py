import io
import json
from decimal import Decimal

import httpx
import pytest
from rich.console import Console

from kirana.journey import walk as walking
from kirana.journey.showing import Printer
from kirana.journey.walk import StepFailed, Walk
from kirana.mail_sink import Mailbox


class FakeShop:
    """The shop as the contract promises it; ``faults`` makes one promise be broken."""

    def __init__(self, mailbox, fault=None):
        self.mailbox = mailbox
        self.fault = fault
        self.products = {n: {"id": n, "name": f"Old Mill rice {n} kg", "price": "2.50", "stock": 9} for n in (1, 2)}
        self.cart = {}
        self.orders = {}
        self.email = ""
        self.username = ""
        self.tokens = 0
        self.is_logged_out = False

    def __call__(self, request):
        path, body = request.url.path, json.loads(request.content or b"null")
        if path == "/api/users":
            self.email, self.username = body["email"], body["username"]
            return self.answer(201, {"id": "u", "username": body["username"]})
        if path.startswith("/api/products"):
            return self.catalogue(path)
        if path.startswith("/api/token"):
            return self.token(path)
        if path.startswith("/api/cart"):
            return self.carts(request, path, body)
        return self.account(path)

    def answer(self, status, body=None, **headers):
        return httpx.Response(status, json=body, headers=headers)

    def catalogue(self, path):
        if path == "/api/products":
            return self.answer(200, list(self.products.values()))
        return self.answer(200, self.products[int(path.rpartition("/")[2])])

    def token(self, path):
        if path.endswith("/revoke"):
            self.is_logged_out = self.fault != "token outlives its session"
            return self.answer(204)
        if path.endswith("/refresh") and self.is_logged_out:
            return self.answer(401, {"code": "identity.invalid_refresh_token"})
        self.tokens += 1
        return self.answer(
            200, {"access": f"access-header.payload.{self.tokens}", "refresh": f"refresh-token-{self.tokens}"}
        )

    def carts(self, request, path, body):
        if path.endswith("/checkout"):
            return self.checkout(request.headers["Idempotency-Key"])
        if path.endswith("/items"):
            self.cart[body["product_id"]] = body["quantity"]
        items = [{"product_id": product, "quantity": quantity} for product, quantity in self.cart.items()]
        return self.answer(200, {"items": items}, **{"X-Cart-Token": "guest-token-whole"})

    def checkout(self, key):
        if key in self.orders and self.fault != "orders twice":
            return self.answer(201, self.orders[key], **{"Idempotency-Replayed": "true"})
        lines = [
            {
                "product": {"id": product},
                "quantity": quantity,
                "unit_price": "2.50",
                "line_total": str(Decimal("2.50") * quantity),
            }
            for product, quantity in self.cart.items()
        ]
        total = "1.00" if self.fault == "wrong sum" else str(sum(Decimal(line["line_total"]) for line in lines))
        number = f"NUMBER{len(self.orders)}"
        order = {
            "id": number,
            "number": number,
            "items": lines,
            "subtotal": total,
            "total": total,
            "status": "confirmed",
        }
        for line in lines:
            if self.fault != "stock stays":
                product = self.products[line["product"]["id"]]
                self.products[product["id"]] = {**product, "stock": product["stock"] - line["quantity"]}
        self.orders[key] = order
        self.cart = {}
        self.send_mails(number)
        return self.answer(201, order)

    def send_mails(self, number):
        count = {"no mail": 0, "two mails": 2}.get(self.fault, 1)
        for copy in range(count):
            self.mailbox.keep(
                {
                    "from": "s", "to": self.email, "subject": f"Order {number} confirmed", "text": "",
                    "message_id": f"{number}-{copy}", "received_at": "2026",
                }
            )  # fmt: skip

    def account(self, path):
        if self.is_logged_out:
            return self.answer(401, {})
        if path == "/api/users/me":
            return self.answer(200, {"username": self.username})
        orders = list(self.orders.values())
        return self.answer(200, orders if path == "/api/orders" else orders[0])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(walking, "MAIL_SECONDS", 0.0)
    monkeypatch.setattr(walking, "REVOKED_SECONDS", 0.0)


def run(tmp_path, fault=None):
    written = io.StringIO()
    mailbox = Mailbox(tmp_path)
    with httpx.Client(transport=httpx.MockTransport(FakeShop(mailbox, fault)), base_url="http://shop") as shop:
        Walk(shop, mailbox, Printer(Console(file=written, width=200))).run()
    return written.getvalue()


def test_every_step_holds_in_a_shop_that_keeps_its_promises(tmp_path):
    shown = run(tmp_path)

    assert "11. Log out" in shown
    assert "✗" not in shown


def test_no_secret_is_shown_whole(tmp_path):
    shown = run(tmp_path)

    assert not any(secret in shown for secret in ("payload", "refresh-token", "guest-token-whole"))


@pytest.mark.parametrize(
    "fault", ["orders twice", "wrong sum", "stock stays", "no mail", "two mails", "token outlives its session"]
)
def test_a_broken_promise_ends_the_walk(tmp_path, fault):
    with pytest.raises(StepFailed):
        run(tmp_path, fault)
