import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from edge.openapi import describe
from edge.routes import compiled, load
from edge.settings import PACKAGED_ROUTES
from tests.builders.tables import a_route, table_text


@pytest.fixture(scope="module")
def table():
    return load(PACKAGED_ROUTES)


@pytest.fixture(scope="module")
def document(table):
    return json.loads(describe(table))


def test_the_document_is_valid_openapi_3_1(document):
    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"].startswith("3.1")


def test_every_route_is_described_and_nothing_else(table, document):
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}

    assert described == {(route.policy.path, route.policy.method) for route in table.routes}


def test_a_route_that_needs_a_token_says_so(document):
    assert document["paths"]["/api/orders"]["post"]["security"] == [{"token": []}]
    assert document["paths"]["/api/cart"]["get"]["security"] == [{}, {"token": []}]
    assert "security" not in document["paths"]["/api/products"]["get"]


def test_the_key_is_required_where_it_is(document):
    parameters = document["paths"]["/api/orders"]["post"]["parameters"]

    assert {one["name"]: one["required"] for one in parameters if one["in"] == "header"} == {"Idempotency-Key": True}


def test_a_key_is_described_exactly_where_it_counts(table, document):
    for route in table.routes:
        operation = document["paths"][route.policy.path][route.policy.method.lower()]
        told = {one["name"] for one in operation["parameters"]}
        responses = operation["responses"].values()
        counts = route.policy.idempotency in {"accepted", "required"}

        assert ("Idempotency-Key" in told) == counts, route.policy.name
        assert any("Idempotency-Replayed" in one["headers"] for one in responses) == counts, route.policy.name
        assert any("`idempotency." in one["description"] for one in responses) == counts, route.policy.name


def test_a_page_is_a_plain_array_and_hidden_members_stay_hidden(document):
    answer = document["paths"]["/api/orders"]["get"]["responses"]["200"]
    order = answer["content"]["application/json"]["schema"]["items"]
    tokens = document["paths"]["/api/token"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert "Link" in answer["headers"]
    assert "total" in order["properties"]
    assert "version" not in order["properties"]
    assert "user_id" not in tokens["properties"]


def test_how_long_a_password_must_be_is_told_where_one_is_chosen_and_nowhere_else(document):
    def lengths(path):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        fields = schema["properties"].items()
        return {name: field.get("minLength") for name, field in fields if "password" in name}

    assert lengths("/api/users") == {"password": 12, "password2": None}
    assert lengths("/api/users/me/password") == {"current_password": None, "password": 12, "password2": None}
    assert lengths("/api/token") == {"password": None}


def test_problems_are_described_by_status(document):
    responses = document["paths"]["/api/orders"]["post"]["responses"]

    assert "`catalog.out_of_stock`" in responses["409"]["description"]
    assert list(responses["504"]["content"]) == ["application/problem+json"]


def test_every_route_with_a_tag_may_answer_that_nothing_changed_and_no_other(table, document):
    described = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "304" in operation["responses"]
    }

    assert described == {
        route.policy.path
        for route in table.routes
        if route.policy.method == "GET" and route.policy.answer.etag != "none"
    }


def test_headers_say_which_form_they_take(document):
    (header, *_) = (
        one["schema"]["pattern"]
        for one in document["paths"]["/api/cart/checkout"]["post"]["parameters"]
        if one["name"] == "If-Match"
    )

    assert [bool(re.search(header, text)) for text in ("*", '"1-a"', 'W/"1"', "", "1", '"1", "2"')] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_who_needs_which_scope_is_told_and_clients_may_use_basic_authentication(document):
    assert document["paths"]["/admin/config"]["put"]["security"] == [{"token": ["edge:admin"]}]
    assert document["paths"]["/oauth/token"]["post"]["security"] == [{}, {"client": []}]
    assert document["components"]["securitySchemes"].keys() == {"token", "client"}


@pytest.mark.parametrize(
    ("status", "headers"),
    [("401", {"WWW-Authenticate"}), ("409", {"Retry-After", "Idempotency-Replayed"}), ("429", {"Retry-After"})],
)
def test_the_headers_of_problems_are_described(document, status, headers):
    described = document["paths"]["/api/orders"]["post"]["responses"][status]["headers"]

    assert headers | {"X-Request-ID", "RateLimit", "RateLimit-Policy"} <= described.keys()
    assert {one["$ref"].rpartition("/")[2] for one in described.values()} <= document["components"]["headers"].keys()


def test_a_header_that_only_this_table_has_is_described_where_it_stands(document):
    words = {"headers": {"X-Product-Sku": "sku", "X-Cart-Token": "name"}}
    made = json.loads(describe(compiled(table_text(a_route(answer=words)))))
    headers = made["paths"]["/api/products/{product_id}"]["get"]["responses"]["200"]["headers"]

    assert headers["X-Product-Sku"] == {"description": "The answer's `sku`.", "schema": {"type": "string"}}
    assert headers["X-Cart-Token"] == {"$ref": "#/components/headers/X-Cart-Token"}
    for one in (made, document):
        assert {ref for ref in references(one) if not leads_somewhere(one, ref)} == set()


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from references(inner)


def leads_somewhere(document, reference):
    place = document
    for step in reference.removeprefix("#/").split("/"):
        place = place.get(step.replace("~1", "/").replace("~0", "~"))
        if place is None:
            return False
    return True
