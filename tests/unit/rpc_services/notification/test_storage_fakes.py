import pytest

from tests.fakes.notification import DeliveriesBehaviour, FakeDeliveries


class TestFakeDeliveries(DeliveriesBehaviour):
    @pytest.fixture
    def deliveries(self):
        return FakeDeliveries()

    @pytest.fixture
    def claims(self, deliveries):
        return deliveries
