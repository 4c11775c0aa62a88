"""The suite that every store of carts obeys, on two real Redis servers."""

from tests.unit.rpc_services.cart.carts_behaviour import CartsBehaviour


class TestRedisCarts(CartsBehaviour):
    pass
