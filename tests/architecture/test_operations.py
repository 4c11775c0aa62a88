"""Every change goes through a record of its operation id, unless its contract says that nothing of it may be kept."""

import ast
from functools import cache
from pathlib import Path

import pytest

from kirana.stack.definitions import METHODS

SERVICES = Path(__file__).parents[2] / "rpc_services"
CHANGES = [method for methods in METHODS.values() for method in methods if method.mutating]

RECORDS = {"once", "_once"}
"""``Scope.once`` in SQL, ``Answers.once`` of the cart, and the cart's own short name for it."""

OTHERWISE = {
    "order.place_order": "several transactions: the saga's desk keeps the record",
    "order.checkout": "as order.place_order",
    "cart.subtract_items": "once for each order, for the event of the order has the same effect and no operation",
}
"""Held by ``tests/integration/order/test_saga_sql.py`` and the behaviour of carts."""


@cache
def doors(service):
    """The functions that are decorated as doors of RPC methods, by name; Nameko demands that it is the method's."""
    tree = ast.parse((SERVICES / service / "service.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {each.name: each for each in functions if "rpc" in map(_called, each.decorator_list)}


def is_recorded(method):
    return any(_called(node) in RECORDS for node in ast.walk(doors(method.service)[method.name]))


def _called(node):
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


@pytest.mark.parametrize("method", CHANGES, ids=lambda method: method.routing_key)
def test_a_change_is_recorded_if_and_only_if_its_answer_is_kept(method):
    if method.routing_key in OTHERWISE:
        assert method.keeps_answer
        assert not is_recorded(method)
    else:
        assert is_recorded(method) == method.keeps_answer


def test_nothing_is_excepted_that_is_no_change():
    assert OTHERWISE.keys() <= {method.routing_key for method in CHANGES}
