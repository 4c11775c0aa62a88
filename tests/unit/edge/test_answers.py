import json

import pytest
from structlog.testing import capture_logs

from edge.conditions import seen_beside_version
from edge.targets.declared import DECLARED
from edge.targets.registry import LOCAL_TARGETS
from edge.unheard import HEARD
from tests.builders.answers import a_product_answer
from tests.builders.tables import RATES, a_page, a_route, table_text
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
CREATED = {"status": 201, "location": "/api/products/{id}", "etag": "version", "headers": {"X-Sku": "sku"}}
PRODUCT = {"name": "a", "description": "", "price": "1.00", "category_id": 1, "stock": 1}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def creating(**answer):
    arguments = dict.fromkeys(PRODUCT, "body")
    return a_route(
        name="create", method="POST", path="/products", call="catalog.create_product", auth="required",
        idempotency="accepted", arguments=arguments, answer=CREATED | answer,
    )  # fmt: skip


async def answers_of(tmp_path, route, given, *, times=1, **asked):
    file = tmp_path / "routes.yaml"
    file.write_text(f"# {tmp_path}\n" + json.dumps({"rates": RATES, "routes": [route]}))
    name = route["call"].partition(".")[2]
    request = {"method": route["method"], "url": asked.pop("url", route["path"])} | asked
    request["headers"] = {"authorization": f"Bearer {a_token()}"} | asked.get("headers", {})
    with capture_logs() as logs:
        async with serving(collaborators(FakeRpc(**{name: given})), file) as client:
            answers = [await client.request(**request) for _ in range(times)]
    return answers, [line for line in logs if line["event"] == "edge.header_left_out"]


async def test_members_fill_the_headers(tmp_path):
    (answer,), logs = await answers_of(tmp_path, creating(), a_product_answer(id=7, sku="A 1"), json=PRODUCT)

    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/products/7"
    assert answer.headers["etag"].startswith('"4-')
    assert answer.headers["x-sku"] == "A 1"
    assert "sku" not in answer.json()
    assert logs == []


async def test_a_tag_tells_no_stock_that_the_route_hides(tmp_path):
    told = [
        (await answers_of(tmp_path, creating(hide=hide), a_product_answer(stock=7), json=PRODUCT))[0][0].headers["etag"]
        for hide in ([], ["stock"])
    ]

    assert [seen_beside_version(tag) for tag in told] == [7, None]


async def test_a_write_that_succeeded_is_told_even_if_its_answer_cannot_fill_a_header(tmp_path):
    lacking = {name: value for name, value in a_product_answer().items() if name not in {"id", "version", "sku"}}
    answers, logs = await answers_of(tmp_path, creating(), lacking, times=3, json=PRODUCT)

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert answers[0].json() == lacking
    assert not {"location", "etag", "x-sku"} & set(answers[0].headers)
    assert [(line["route"], line["header"], line["member"]) for line in logs] == [
        ("create", "location", "id"),
        ("create", "x-sku", "sku"),
        ("create", "etag", "version"),
    ]


@pytest.mark.parametrize("given", [None, [], "done", 7], ids=str)
async def test_an_answer_of_another_shape_is_no_fault_of_ours_after_a_write(tmp_path, given):
    (answer,), logs = await answers_of(tmp_path, creating(hide=["stock"]), given, json=PRODUCT)

    assert (answer.status_code, answer.json()) == (201, given)
    assert len(logs) == 3


@pytest.mark.parametrize(
    "sku", ["a\r\nSet-Cookie: b=c", "Öl", " a", "a\x7f", {"a": 1}], ids=["lines", "umlaut", "space", "del", "object"]
)
async def test_what_no_header_can_tell_is_in_none(tmp_path, sku):
    (answer,), (line,) = await answers_of(tmp_path, creating(), a_product_answer(sku=sku), json=PRODUCT)

    assert answer.status_code == 201
    assert not {"x-sku", "set-cookie"} & set(answer.headers)
    assert "sku" not in answer.json()
    assert (line["header"], line["member"]) == ("x-sku", "sku")


async def test_a_location_stays_one_path_whatever_its_parts_are(tmp_path):
    route = creating(location="/shops/{name}/{sku}", headers={})
    (answer,), _ = await answers_of(tmp_path, route, a_product_answer(name="a/../b c", sku="é?"), json=PRODUCT)

    assert answer.headers["location"] == "/shops/a%2F..%2Fb%20c/%C3%A9%3F"


async def test_a_location_may_name_the_paths_own_variables(tmp_path):
    route = a_route(
        name="set_stock", method="PUT", path="/stock/{product_id}", call="catalog.set_stock", auth="required",
        idempotency="accepted", answer={"location": "/products/{product_id}"},
        arguments={"product_id": "path", "on_hand": "body", "expected": "body", "expected_version": "if-match"},
    )  # fmt: skip
    body = {"on_hand": 1, "expected": 2}
    (answer,), _ = await answers_of(tmp_path, route, a_product_answer(), url="/stock/7", json=body)

    assert (answer.status_code, answer.headers["location"]) == (200, "/products/7")


async def test_what_is_nothing_or_may_be_absent_is_no_header_and_no_fault(tmp_path):
    cart = {"id": "c", "version": 1, "items": [], "item_count": 0}
    words = {"headers": {"X-Cart-Token": "cart_token", "X-Items": "item_count", "X-Ends": "expires_at"}}
    route = a_route(name="cart", path="/cart", call="cart.get_cart", arguments={}, answer=words)
    (answer,), logs = await answers_of(tmp_path, route, cart | {"expires_at": None})

    assert answer.headers["x-items"] == "0"
    assert not {"x-cart-token", "x-ends"} & set(answer.headers)
    assert logs == []


@pytest.mark.parametrize(
    ("local", "path", "asked"),
    [
        ("openapi", "/openapi.json", "/openapi.json"),
        ("problems", "/problems", "/problems"),
        ("problem_page", "/problems/{name}", "/problems/internal"),
        ("docs_asset", "/docs/{file}", "/docs/docs.css"),
    ],
)
async def test_a_page_that_hears_how_long_it_may_be_kept_says_so(tmp_path, local, path, asked):
    variables = {name: "path" for name in ("name", "file") if f"{{{name}}}" in path}
    words = {"path": path, "arguments": variables, "answer": {"cache_control": "public, max-age=7"}}
    file = tmp_path / "routes.yaml"
    file.write_text(table_text(a_page(local, **words)))
    async with serving(collaborators(), file) as client:
        answer = await client.get(asked)

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=7")
    assert HEARD[local] == {"cache_control"}


def test_targets_that_are_known_to_hear_words_are_targets():
    assert HEARD.keys() <= LOCAL_TARGETS.keys() == DECLARED.keys()
