import pytest

from tests.fakes.carts import FakeCarts
from tests.unit.rpc_services.cart.carts_behaviour import CartsBehaviour


class TestFakeCarts(CartsBehaviour):
    @pytest.fixture
    def carts(self):
        return FakeCarts()
