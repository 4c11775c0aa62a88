import pytest

from edge.routes import BadRoutes, compiled
from tests.builders.tables import a_route, table_text

FEATURED = {"name": "featured", "required": False, "call": "catalog.list_products", "page": True}
CART = {"name": "cart", "required": False, "call": "cart.get_cart", "arguments": {"user_id": "caller.user_id"}}
THINGS = {"name": "things", "required": False, "http": {"service": "things", "path": "/v1"}}


def a_home(*parts, **changes):
    route = {"name": "home", "path": "/home", "call": "left out", "arguments": "left out", "auth": "optional"}
    return a_route(**(route | changes), aggregate={"parts": list(parts)})


def faults_of(route):
    with pytest.raises(BadRoutes) as refused:
        compiled(table_text(route))
    return refused.value.faults


def test_a_sound_aggregate_takes_and_gives_what_its_parts_do():
    words = {"category": "query", "limit": "query"}
    (route,) = compiled(table_text(a_home(FEATURED | {"arguments": words}, CART, THINGS))).routes

    assert route.policy.arguments == words | {"user_id": "caller.user_id"}
    assert route.answer.__struct_fields__ == ("featured", "cart", "things", "unavailable", "refused", "skipped")
    assert [policy.service for policy in route.http_policies.values()] == ["things"]
    assert route.target_name == "aggregate.home"
    assert not route.mutating


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"required": "left out"}, "/aggregate/parts/0/required"),
        ({"colour": "red"}, "/colour"),
        ({"call": "bakery.bake"}, "no service 'bakery'"),
        ({"call": "catalog.bake"}, "no method 'bake'"),
        ({"call": "catalog.audit_stock", "page": False}, "operators only"),
        ({"call": "cart.clear_cart", "page": False}, "changes something"),
        ({"call": "left out"}, "exactly one of"),
        ({"http": {"service": "things"}}, "exactly one of"),
        ({"name": "unavailable"}, "a member that names parts"),
        ({"name": "refused"}, "a member that names parts"),
        ({"name": "skipped"}, "a member that names parts"),
        ({"name": "two words"}, "/aggregate/parts/0/name"),
        ({"deadline": 6}, "no more time than the route"),
        ({"arguments": {"colour": "query"}}, "'colour' is not a field"),
        ({"arguments": {"category": "body"}}, "/arguments"),
        ({"arguments": {"category": "path"}}, "'category' is not in the path"),
        ({"arguments": {"cursor": "query"}}, "first page"),
        ({"fixed": {"colour": "red"}}, "'colour' is not a field"),
        ({"fixed": {"limit": 101}}, "takes no such 'limit'"),
        ({"fixed": {"limit": "7"}}, "takes no such 'limit'"),
        ({"fixed": {"limit": 7}, "arguments": {"limit": "query"}}, "comes from the request"),
        ({"call": "catalog.get_product", "page": False}, "'product_id' of GetProduct is not supplied"),
        ({"call": "catalog.get_product"}, "gives no page"),
        ({"hide": ["colour"]}, "no 'colour' in the answer"),
        ({"required": True, "fallback": []}, "nothing stands in"),
        ({"fallback": {"id": 1}}, "no answer of catalog.list_products"),
        ({"required": True, "call": "cart.get_cart", "page": False, "arguments": CART["arguments"]}, "auth is 'requ"),
    ],
)
def test_a_faulty_part_never_starts(changes, reason):
    part = {name: value for name, value in (FEATURED | changes).items() if value != "left out"}
    faults = faults_of(a_home(part))

    assert any(reason in str(fault) for fault in faults), faults
    assert all("/routes/0" in fault.pointer for fault in faults)


@pytest.mark.parametrize(
    ("parts", "changes", "reason"),
    [
        ([], {}, "/aggregate/parts"),
        ([FEATURED, dict(FEATURED)], {}, "two of them are called 'featured'"),
        ([FEATURED], {"method": "POST"}, "only reads"),
        ([FEATURED], {"arguments": {"limit": "query"}}, "the parts have the arguments"),
        ([FEATURED], {"call": "catalog.list_products"}, "exactly one of"),
        ([FEATURED], {"answer": {"status": 201}}, "answers with 200"),
        ([FEATURED], {"answer": {"etag": "version"}}, "/answer"),
        ([FEATURED], {"answer": {"hide": ["featured"]}}, "/answer"),
        ([FEATURED], {"path": "/home/{room}"}, "'room' leads nowhere"),
        ([FEATURED], {"idempotency": "accepted"}, "idempotency must be"),
        ([FEATURED, CART], {"auth": "none"}, "nobody is known"),
        ([FEATURED, CART], {"answer": {"cache_control": "public"}, "cache": {"ttl": 1}}, "a caller's data"),
        ([THINGS | {"page": True}], {}, "what a contract describes"),
        ([THINGS | {"http": {"service": "things", "websocket": True}}], {}, "one answer"),
        ([THINGS | {"http": {"service": "things", "path": "/{colour}"}}], {}, "no variable 'colour'"),
        ([THINGS | {"http": {"service": "things", "balance": "hash"}}], {}, "/http/hash"),
        (
            [FEATURED | {"arguments": {"q": "query"}}, THINGS | {"arguments": {"q": "caller.address"}}],
            {},
            "another part means something else by 'q'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_that_contradict_each_other_or_their_route_never_start(parts, changes, reason):
    faults = faults_of(a_home(*parts, **changes))

    assert any(reason in str(fault) for fault in faults), faults


def test_a_part_may_use_a_variable_of_the_path_that_another_does_not():
    product = {"name": "product", "required": True, "call": "catalog.get_product", "arguments": {"product_id": "path"}}
    reviews = THINGS | {"http": {"service": "things", "path": "/reviews/{product_id}"}}

    for parts in ([reviews, product], [product, reviews], [product, FEATURED]):
        (route,) = compiled(table_text(a_home(*parts, path="/products/{product_id}/page"))).routes

        assert route.policy.arguments == {"product_id": "path"}
        assert route.binding.whole_numbers == {"product_id"}


def test_a_fault_stands_at_its_line():
    text = table_text(a_home(FEATURED, CART | {"call": "cart.bake"}))
    (fault,) = faults_of(a_home(FEATURED, CART | {"call": "cart.bake"}))

    assert text.splitlines()[fault.line - 1].strip() == "call: cart.bake"
