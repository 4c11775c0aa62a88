"""What /openapi.json says of every operation is what the running shop answers, whatever it is sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.shop import PASSWORD, Client, a_product, logged_in, registered, unique
from tests.e2e.test_identity import operate

pytestmark = pytest.mark.takes(40)

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "headers_are_documented",
)
EXAMPLES = int(os.environ.get("KIRANA_SCHEMATHESIS_EXAMPLES", "3"))
"""Drawn per operation, after those that each schema gives by itself. More of them find more, and take longer."""

OUT_OF_REACH = {"refresh_tokens", "merge_carts", "put_config", "set_breaker"}
"""What takes a fresh secret per call, or would change how the shop behaves for every other test."""

ALL_SCOPES = [part for scope in ("catalog:write", "edge:admin", "orders:manage") for part in ("--scope", scope)]


def an_administrator(stack):
    """A token of its own that may do everything, with a limit of its own."""
    made = json.loads(operate(stack, "clients", "add", unique("partner"), *ALL_SCOPES, "--json"))
    credentials = {name: made[name] for name in ("client_id", "client_secret")}
    with Client(stack) as client:
        granted = client.post("/oauth/token", data={"grant_type": "client_credentials"} | credentials)
    return granted.json()["access_token"], credentials


def with_a_full_cart(stack, product):
    token = logged_in(stack)["access"]
    with Client(stack, token=token) as client:
        assert client.post("/api/cart/items", json={"product_id": product["id"], "quantity": 9}).status_code == 200
    return token


@pytest.fixture
def callers(stack, admin, customer):
    """Enough people that no limit by caller is met, and enough of what is theirs that calls get past the door."""
    products = [a_product(admin) for _ in range(4)]
    administrators = [an_administrator(stack) for _ in range(4)]
    user = registered(stack)
    account = {"username": "u{unique}", "password": PASSWORD, "password2": PASSWORD, "email": "u{unique}@example.com"}
    product, others = products[0]["id"], [{"product_id": one["id"]} for one in products[1:3]]
    orders = [{"order_id": customer.ordering((product, 1)).json()["id"]} for _ in range(3)]
    held = [{"product_id": product}, {"product_id": 10**9}]
    buyer = customer.headers["Authorization"].split()[1]
    alone = dict.fromkeys(("get_order", "get_order_history", "cancel_order"), buyer)
    alone |= {name: with_a_full_cart(stack, products[0]) for name in ("checkout", "remove_cart_item", "set_cart_item")}
    alone |= {name: logged_in(stack)["access"] for name in ("log_out", "end_session", "change_password")}
    return {
        "customers": [logged_in(stack)["access"] for _ in range(3)],
        "administrators": [token for token, _ in administrators],
        "alone": alone,
        "paths": {
            **dict.fromkeys(("update_product", "delete_product"), others),
            "set_stock": [{"product_id": products[3]["id"]}],
            **dict.fromkeys(("remove_cart_item", "set_cart_item"), held),
            **dict.fromkeys(("get_order", "get_order_history", "cancel_order"), orders),
            "problem_page": [{"name": "internal"}],
            "docs_asset": [{"file": "swagger-ui.css"}],
        },
        "known": {
            "register_user": account,
            "create_product": {"category_id": products[0]["category"]["id"], "sku": "s{unique}", "currency": "EUR"},
            "set_stock": {"on_hand": 100, "expected": 100},
            "log_in": {"username": user["username"], "password": PASSWORD},
            "grant_token": {"grant_type": "client_credentials"} | administrators[0][1],
            "change_password": dict.fromkeys(("current_password", "password", "password2"), PASSWORD),
            "place_order": {"items": [{"product_id": product, "quantity": 1}]},
            "add_cart_item": {"product_id": product, "quantity": 1},
        },
    }


def test_no_operation_answers_what_the_description_does_not_say(stack, client, callers, tmp_path):
    (tmp_path / "openapi.json").write_bytes(client.get("/openapi.json").content)
    environment = os.environ | {
        "KIRANA_CALLERS": json.dumps(callers),
        "SCHEMATHESIS_HOOKS": "tests.builders.described",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    options = [
        *("--url", stack.edge_url, "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--suppress-health-check", "all"),
        *("--generation-with-security-parameters", "false", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "20", "--report", "json", "--report-json-path", "report.json"),
    ]

    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", "openapi.json", *options],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    answered = json.loads((tmp_path / "answered.json").read_text())
    described = json.loads((tmp_path / "openapi.json").read_bytes())["paths"].values()
    names = {operation["operationId"] for operations in described for operation in operations.values()}
    fruitless = {name for name in names if not any(status < "300" for status in answered.get(name, {}))}
    assert fruitless <= OUT_OF_REACH, f"No call got past the door of {fruitless - OUT_OF_REACH}: {answered}"
