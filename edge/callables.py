"""What routes can call: every method of every service, by the name that the route table has for it."""

from __future__ import annotations

from shared.contracts import cart, catalog, identity, notification, order
from shared.contracts.method import Method, Methods

_PARTS = (identity, catalog, cart, order, notification)
SERVICES: dict[str, Methods] = {part.METHODS.service: part.METHODS for part in _PARTS}


def method_named(call: str) -> Method:
    """The method of ``catalog.get_product``. Raises ``LookupError`` with the sentence that says what is wrong."""
    service, _, name = call.partition(".")
    if service not in SERVICES:
        raise LookupError(f"/call: there is no service '{service}'")
    if name not in SERVICES[service]:
        raise LookupError(f"/call: {service} has no method '{name}'")
    method = SERVICES[service][name]
    if method.operator_only:
        raise LookupError(f"/call: {call} is for operators only")
    return method
