import pytest

from rpc_services.catalog.settings import read_settings
from shared.settings.reader import BadSettings


def test_without_a_word_the_shop_sells_for_euros():
    assert read_settings({}).currency == "EUR"


def test_every_fault_is_reported_at_once():
    with pytest.raises(BadSettings) as bad:
        read_settings({"KIRANA_CURRENCY": "XXX", "KIRANA_MAX_WORKERS": "0"})

    assert len(bad.value.faults) == 2
