"""Route tables as text: each says only what matters."""

import yaml

LEFT_OUT = "left out"
RATES = {"browse": {"quota": 10, "window": 60}}


def a_route(**changes):
    """One product, for everybody; a change to ``"left out"`` leaves the word out."""
    route = {
        "name": "get_product",
        "method": "GET",
        "path": "/api/products/{product_id}",
        "summary": "One product",
        "tag": "Catalogue",
        "call": "catalog.get_product",
        "auth": "none",
        "limits": {"address": "browse"},
        "arguments": {"product_id": "path"},
    } | changes
    return {name: value for name, value in route.items() if value != LEFT_OUT}


def a_page(name="alive", **changes):
    """A page of the edge itself, which needs nothing behind it."""
    known = {"path": f"/{name}", "call": LEFT_OUT, "local": name, "arguments": LEFT_OUT, "limits": None}
    return a_route(name=name, **(known | changes))


def table_text(*routes, **changes):
    return yaml.safe_dump({"rates": RATES, "routes": list(routes)} | changes, sort_keys=False)
