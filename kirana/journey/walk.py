"""The whole journey of a purchase against a running shop, from the account to the mail; every step is checked."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from kirana.journey.showing import Printer
from kirana.mail_sink import Mailbox
from shared.values.identifiers import new_id

T = TypeVar("T")

MAIL_SECONDS = 20.0
REVOKED_SECONDS = 3.0
FRESH_SECONDS = 3.0
"""Product pages are kept ready; an order takes those of what it took away within a second."""
_POLL_SECONDS = 0.1
_WANTED_PRODUCTS = 2


class StepFailed(Exception):
    """An answer was not what the contract promises."""


@dataclass
class Customer:
    """What a customer knows as the journey goes on."""

    username: str = field(default_factory=lambda: f"demo-{secrets.token_hex(4)}")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15))
    access: str = ""
    refresh: str = ""
    cart_token: str = ""
    products: list[dict[str, Any]] = field(default_factory=list)
    order: dict[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=new_id)

    @property
    def email(self) -> str:
        """Where the confirmation goes."""
        return f"{self.username}@example.com"


class Walk:
    """One customer's journey through a shop. Raises :class:`StepFailed` at the first step that does not hold."""

    def __init__(self, shop: httpx.Client, mailbox: Mailbox, printer: Printer) -> None:
        self._shop = shop
        self._mailbox = mailbox
        self._printer = printer
        self.customer = Customer()

    def run(self) -> None:
        """Walk every step in order."""
        for title, step in self._steps():
            self._printer.step(title)
            step()

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("Register", self._register),
            ("Log in", self._log_in),
            ("Look around", self._look_around),
            ("Fill a cart as a guest", self._fill_guest_cart),
            ("Log in with the guest's cart", self._log_in_with_cart),
            ("Check out", self._check_out),
            ("Send the same checkout again", self._repeat_check_out),
            ("Look at the order", self._look_at_order),
            ("Read the confirmation", self._read_confirmation),
            ("Refresh the session", self._refresh),
            ("Log out", self._log_out),
        ]

    def _register(self) -> None:
        customer = self.customer
        body = {
            "username": customer.username,
            "password": customer.password,
            "password2": customer.password,
            "email": customer.email,
            "first_name": "Ada",
            "last_name": "Demo",
        }
        user = self._send("POST", "/api/users", body, expect=HTTPStatus.CREATED).json()
        self._hold("password" not in user, "The account is open; the password is not in the answer.")

    def _log_in(self) -> None:
        self._take_tokens({"username": self.customer.username, "password": self.customer.password})
        self._hold(self.customer.access.count(".") == _WANTED_PRODUCTS, "A signed access token came back.")

    def _look_around(self) -> None:
        listed = self._send("GET", "/api/products?in_stock=true&limit=10").json()
        self._hold(bool(listed), "The shop has products in stock.")
        word = max(listed[0]["name"].split(), key=len)
        found = self._send("GET", f"/api/products?q={httpx.QueryParams({'q': word})['q']}&limit=3").json()
        self._hold(bool(found), f"The search finds “{word}”.")
        plenty = [product for product in listed if product["stock"] > _WANTED_PRODUCTS] or listed
        self.customer.products = [
            self._send("GET", f"/api/products/{product['id']}").json() for product in plenty[:_WANTED_PRODUCTS]
        ]
        self._hold(self.customer.products[0]["id"] == plenty[0]["id"], "Each product can be looked at.")

    def _fill_guest_cart(self) -> None:
        cart: dict[str, Any] = {}
        for quantity, product in enumerate(self.customer.products, start=1):
            headers = {"X-Cart-Token": self.customer.cart_token} if self.customer.cart_token else {}
            body = {"product_id": product["id"], "quantity": quantity}
            response = self._send("POST", "/api/cart/items", body, headers)
            self.customer.cart_token = response.headers.get("X-Cart-Token") or self.customer.cart_token
            cart = response.json()
        self._hold(bool(self.customer.cart_token), "A guest's cart was opened with a token of its own.")
        self._hold(len(cart["items"]) == len(self.customer.products), "It holds what was added.")

    def _log_in_with_cart(self) -> None:
        customer = self.customer
        self._take_tokens(
            {"username": customer.username, "password": customer.password, "cart_token": customer.cart_token}
        )
        cart = self._send("GET", "/api/cart", headers=self._bearer()).json()
        wanted = {product["id"] for product in customer.products}
        self._hold({item["product_id"] for item in cart["items"]} == wanted, "The guest's cart is the customer's now.")

    def _check_out(self) -> None:
        order = self._send("POST", "/api/cart/checkout", {}, self._keyed(), expect=HTTPStatus.CREATED).json()
        self.customer.order = order
        self._hold(order["status"] == "confirmed", f"Order {order['number']} is confirmed.")
        prices = {product["id"]: product["price"] for product in self.customer.products}
        frozen = {item["product"]["id"]: item["unit_price"] for item in order["items"]}
        self._hold(frozen == prices, "Its prices are those that were shown.")
        lines = sum(Decimal(item["line_total"]) for item in order["items"])
        self._hold(Decimal(order["subtotal"]) == lines, "Its lines add up.")
        for item in order["items"]:
            self._expect_stock_fell(item)
        cart = self._send("GET", "/api/cart", headers=self._bearer()).json()
        self._hold(not cart["items"], "The cart is empty again.")

    def _expect_stock_fell(self, item: dict[str, Any]) -> None:
        before = next(product for product in self.customer.products if product["id"] == item["product"]["id"])
        fell = self._wait(lambda: self._stock_of(before["id"]) <= before["stock"] - item["quantity"], FRESH_SECONDS)
        self._hold(fell, f"Stock fell by {item['quantity']}.")

    def _stock_of(self, product_id: int) -> int:
        return int(self._send("GET", f"/api/products/{product_id}").json()["stock"])

    def _repeat_check_out(self) -> None:
        response = self._send("POST", "/api/cart/checkout", {}, self._keyed(), expect=HTTPStatus.CREATED)
        self._hold(response.headers.get("Idempotency-Replayed") == "true", "The first answer came again.")
        self._hold(response.json()["id"] == self.customer.order["id"], "There is still one order.")

    def _look_at_order(self) -> None:
        order = self._send("GET", f"/api/orders/{self.customer.order['id']}", headers=self._bearer()).json()
        self._hold(order["total"] == self.customer.order["total"], "It is as it was placed.")
        listed = self._send("GET", "/api/orders", headers=self._bearer()).json()
        self._hold([item["id"] for item in listed] == [order["id"]], "It is the customer's only order.")

    def _read_confirmation(self) -> None:
        found = self._wait(self._confirmations, MAIL_SECONDS)
        self._hold(len(found) == 1, f"One mail arrived: “{found[0]['subject'] if found else 'none'}”.")

    def _confirmations(self) -> list[dict[str, Any]]:
        wanted = f"Order {self.customer.order['number']}"
        mails = self._mailbox.mails()
        return [mail for mail in mails if mail["to"] == self.customer.email and wanted in mail["subject"]]

    def _refresh(self) -> None:
        old = self.customer.refresh
        tokens = self._send("POST", "/api/token/refresh", {"refresh": old}).json()
        self.customer.access, self.customer.refresh = tokens["access"], tokens["refresh"]
        self._hold(self.customer.refresh != old, "The refresh token was replaced by its successor.")
        me = self._send("GET", "/api/users/me", headers=self._bearer()).json()
        self._hold(me["username"] == self.customer.username, "The new access token works.")

    def _log_out(self) -> None:
        self._send("POST", "/api/token/revoke", headers=self._bearer(), expect=HTTPStatus.NO_CONTENT)
        ended = self._wait(self._is_logged_out, REVOKED_SECONDS)
        self._hold(bool(ended), "The access token counts no more.")
        self._send("POST", "/api/token/refresh", {"refresh": self.customer.refresh}, expect=HTTPStatus.UNAUTHORIZED)
        self._hold(passed=True, sentence="Neither does the refresh token.")

    def _is_logged_out(self) -> bool:
        response = self._shop.get("/api/users/me", headers=self._bearer())
        return response.status_code == HTTPStatus.UNAUTHORIZED

    def _take_tokens(self, body: dict[str, str]) -> None:
        tokens = self._send("POST", "/api/token", body).json()
        self.customer.access, self.customer.refresh = tokens["access"], tokens["refresh"]

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.customer.access}"}

    def _keyed(self) -> dict[str, str]:
        return {**self._bearer(), "Idempotency-Key": self.customer.key}

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        expect: HTTPStatus = HTTPStatus.OK,
    ) -> httpx.Response:
        self._printer.request(method, path, body, headers or {})
        began = time.monotonic()
        response = self._shop.request(method, path, json=body, headers=headers)
        self._printer.answer(response, time.monotonic() - began)
        if response.status_code != expect:
            raise StepFailed(
                f"{method} {path} answered {response.status_code}, not {int(expect)}. "
                f"Its lines: kirana logs --request {response.headers.get('X-Request-ID', '?')}"
            )
        return response

    def _hold(self, passed: bool, sentence: str) -> None:  # noqa: FBT001 - reads as a sentence: hold(fact, words)
        if not passed:
            raise StepFailed(f"This did not hold: {sentence}")
        self._printer.held(sentence)

    def _wait(self, look: Callable[[], T], seconds: float) -> T:
        deadline = time.monotonic() + seconds
        found = look()
        while not found and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            found = look()
        return found
