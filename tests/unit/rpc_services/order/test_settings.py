import pytest

from rpc_services.order.settings import read_settings
from shared.settings.reader import BadSettings


def test_nothing_said_means_payment_on_delivery():
    assert read_settings({}).payments == "none"


def test_an_unknown_provider_is_refused():
    with pytest.raises(BadSettings):
        read_settings({"KIRANA_PAYMENTS": "stripe"})
