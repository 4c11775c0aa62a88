from itertools import permutations

import pytest

from edge.routes import BadRoutes, NotRouted, load, with_health
from edge.settings import PACKAGED_ROUTES
from tests.builders.tables import a_route, table_text


def a_table(tmp_path, *routes, **changes):
    path = tmp_path / "routes.yaml"
    path.write_text(table_text(*routes, **changes))
    return path


def faults_of(path):
    with pytest.raises(BadRoutes) as refused:
        load(path)
    assert refused.value.code == 78
    return str(refused.value)


@pytest.fixture(scope="module")
def packaged():
    return load(PACKAGED_ROUTES)


def test_the_packaged_table_agrees_with_the_contracts(packaged):
    assert len(packaged.routes) > 30


def test_nodes_can_look_after_an_edge_whatever_table_it_has(tmp_path):
    """One from before a route was known made every edge look ill, and nothing that goes through them could mend it."""
    table = with_health(load(a_table(tmp_path, a_route(), a_route(name="ready", path="/ready/{product_id}"))))
    assert len({route.policy.name for route in table.routes}) == len(table.routes) == 5

    for path, target in (("/health/live", "alive"), ("/health/serving", "serving"), ("/health/ready", "ready")):
        assert table.find("GET", path)[0].target_name == f"local.{target}"


def test_a_table_that_has_its_own_routes_for_health_keeps_them(packaged):
    assert with_health(packaged) is packaged


CHANGE = {"method": "POST", "path": "/changes", "idempotency": "accepted", "limits": {"address": "browse"}}
PASSED_ON = {"call": "left out", "arguments": "left out", "limits": None}
CREDENTIALS = {"username": "body", "password": "body"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"auth": "left out"}, "/auth"),
        ({"limits": "left out"}, "/limits"),
        ({"colour": "red"}, "/colour"),
        ({"auth": "maybe"}, "/auth"),
        ({"deadline": 0}, "/deadline"),
        ({"call": "bakery.bake"}, "no service 'bakery'"),
        ({"call": "catalog.bake"}, "no method 'bake'"),
        ({"call": "catalog.audit_stock"}, "operators only"),
        ({"call": "left out"}, "exactly one of"),
        ({"local": "alive"}, "exactly one of"),
        ({"arguments": {"product_id": "path", "colour": "query"}}, "'colour' is not a field"),
        ({"arguments": {"product_id": "query"}}, "'product_id' leads nowhere"),
        ({"arguments": {}}, "'product_id' of GetProduct is not supplied"),
        (
            CHANGE | {"call": "cart.clear_cart", "arguments": {"user_id": "caller.user_id"}, "auth": "required"},
            "guards nothing without 'expected_version': say 'expected_version: if-match'",
        ),
        (
            CHANGE | {"call": "left out", "local": "log_in", "idempotency": "ignored", "arguments": CREDENTIALS},
            "guards nothing without 'client_address': say 'client_address: caller.address'",
        ),
        ({"arguments": {"product_id": "the moon"}}, "/arguments"),
        ({"path": "/api/products"}, "'product_id' is not in the path"),
        ({"scopes": ["world:rule"], "auth": "required"}, "no scope 'world:rule'"),
        ({"scopes": ["edge:admin"]}, "scopes need auth"),
        ({"limits": {"address": "rarely"}}, "no rate class 'rarely'"),
        ({"limits": {"address": "browse", "caller": "browse"}}, "limit by caller needs auth"),
        ({"idempotency": "required"}, "idempotency must be"),
        ({"answer": {"page": True}}, "a page needs"),
        ({"answer": {"status": 418}}, "/answer"),
        ({"name": "clear_cart", "call": "cart.clear_cart"}, "GET must not lead"),
        ({"call": "identity.get_user", "path": "/me", "arguments": {"user_id": "caller.user_id"}}, "needs a caller"),
    ],
)
def test_a_faulty_route_never_starts(tmp_path, changes, reason):
    faults = faults_of(a_table(tmp_path, a_route(**changes)))

    assert reason in faults
    assert changes.get("name", "get_product") in faults


@pytest.mark.parametrize(
    "path", ["/files/{name}.json", "/v{name}", "/files/{name2}", "/files/{name", "/{name}/{name}", "/a//b", "/a/../b"]
)
def test_a_path_that_would_match_something_else_than_it_says_never_starts(tmp_path, path):
    route = a_route(path=path, call=None, arguments={}, http={"service": "files", "path": "/all"})

    faults = faults_of(a_table(tmp_path, route))

    assert any(reason in faults for reason in ("is no segment", "stands twice"))


def test_every_fault_of_every_route_is_named_at_once(tmp_path):
    faults = faults_of(
        a_table(tmp_path, a_route(name="one", auth="maybe", colour="red"), a_route(name="two", call="bakery.bake"))
    )

    assert "one: /auth" in faults
    assert "one: /colour" in faults
    assert "two: /call: there is no service" in faults


@pytest.mark.parametrize(("rate", "reason"), [("many", "/unrouted: no rate class 'many'"), (3, "/unrouted")])
def test_what_limits_the_unrouted_is_a_rate_class_of_the_table(tmp_path, rate, reason):
    path = a_table(tmp_path, a_route())
    path.write_text(f"unrouted: {rate}\n" + path.read_text())

    assert reason in faults_of(path)


def test_every_fault_names_the_line_where_an_editor_finds_it(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(
        """\
rates:
  browse: {quota: 0, window: 60}
routes:
  - name: get_product
    method: GET
    path: /api/products/{product_id}
    summary: One product
    tag: Catalogue
    call: catalog.get_product
    auth: none
    limits:
      address: browse
      caller: rarely
    arguments:
      product_id: path
      colour: query
    tag: Again
  - not a route
colour: red
"""
    )

    with pytest.raises(BadRoutes) as refused:
        load(path)

    assert [(fault.line, fault.pointer, fault.route) for fault in refused.value.faults] == [
        (2, "/rates/browse/quota", ""),
        (13, "/routes/0/limits/caller", "get_product"),
        (13, "/routes/0/limits/caller", "get_product"),
        (16, "/routes/0/arguments/colour", "get_product"),
        (17, "", ""),
        (18, "/routes/1", ""),
        (19, "/colour", ""),
    ]
    assert f"{path}: line 13: get_product: /limits/caller: there is no rate class 'rarely'" in str(refused.value)


def test_two_routes_cannot_claim_one_place(tmp_path):
    faults = faults_of(a_table(tmp_path, a_route(), a_route(path="/api/products/{product_id}/")))

    assert "the name stands twice" in faults
    assert "another route has GET" in faults


def test_a_file_that_is_no_table_is_refused(tmp_path):
    assert "/rates" in faults_of(a_table(tmp_path, rates={"browse": {"quota": 0, "window": 60}}))
    broken = tmp_path / "broken.yaml"
    broken.write_text("routes: [")
    assert "broken.yaml" in faults_of(broken)
    assert "absent.yaml" in faults_of(tmp_path / "absent.yaml")


@pytest.mark.parametrize("path", ["/api/products/7", "/api/products/7/", "/%61pi/products/%37"])
def test_spelling_a_path_differently_changes_nothing(packaged, path):
    route, variables = packaged.find("GET", path)

    assert route.policy.name == "get_product"
    assert variables == {"product_id": "7"}


def test_head_goes_where_get_does(packaged):
    route, _ = packaged.find("HEAD", "/api/products")

    assert route.policy.name == "list_products"


def test_a_fixed_path_wins_over_a_variable_one(packaged):
    route, variables = packaged.find("POST", "/api/cart/items")

    assert route.policy.name == "add_cart_item"
    assert variables == {}


def test_each_method_at_a_path_knows_its_variables_by_its_own_names(tmp_path):
    of_order = {"call": "order.get_order", "arguments": {"user_id": "caller.user_id", "order_id": "path"}}
    table = load(
        a_table(
            tmp_path,
            a_route(path="/api/{product_id}"),
            a_route(name="cancel", path="/api/{order_id}", method="POST", auth="required", idempotency="accepted",
                    **of_order | {"call": "order.cancel_order"}),
        )
    )  # fmt: skip

    assert table.find("GET", "/api/7")[1] == {"product_id": "7"}
    assert table.find("POST", "/api/7")[1] == {"order_id": "7"}


def test_where_two_paths_with_variables_fit_the_one_that_says_more_earlier_serves_wherever_it_stands(tmp_path):
    routes = [
        a_route(name="any_of_a_shelf", path="/{shelf}/{rest}", http={"service": "shelves"}, **PASSED_ON),
        a_route(name="any_shelf", path="/{product_id}/new"),
        a_route(name="in_new", path="/new/{product_id}"),
    ]

    for order in permutations(routes):
        table = load(a_table(tmp_path, *order))
        assert table.find("GET", "/new/new")[0].policy.name == "in_new"
        assert table.find("GET", "/new/7")[0].policy.name == "in_new"
        assert table.find("GET", "/7/new")[0].policy.name == "any_shelf"
        assert table.find("GET", "/7/7")[0].policy.name == "any_of_a_shelf"
        assert table.find("GET", "/new/")[0] == NotRouted(())


def test_a_path_without_the_method_leaves_it_to_the_next_that_fits(tmp_path):
    routes = [
        a_route(name="all_new", path="/new/all", call="catalog.list_products", arguments={}),
        a_route(name="in_new", path="/new/{product_id}"),
        a_route(name="cancel", path="/{order_id}/all", method="POST", call="order.cancel_order", auth="required",
                arguments={"user_id": "caller.user_id", "order_id": "path"}, idempotency="accepted"),
    ]  # fmt: skip

    for order in permutations(routes):
        table = load(a_table(tmp_path, *order))
        cancel, variables = table.find("POST", "/new/all")
        assert (cancel.policy.name, variables) == ("cancel", {"order_id": "new"})
        assert table.find("GET", "/new/all")[0].policy.name == "all_new"
        assert table.find("PUT", "/new/all")[0] == NotRouted(("GET", "HEAD", "OPTIONS", "POST"))
        assert table.find("POST", "/new/7")[0] == NotRouted(("GET", "HEAD", "OPTIONS"))


def test_a_wrong_method_is_told_which_are_right(packaged):
    assert packaged.find("PUT", "/api/cart") == (NotRouted(("DELETE", "GET", "HEAD", "OPTIONS")), {})


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/api/products//", "/api//products", "/api/orders/%00", "/api/orders/%ff", "//admin/routes"],
)
def test_a_path_that_means_nothing_is_not_routed(packaged, path):
    assert packaged.find("GET", path) == (NotRouted(()), {})
