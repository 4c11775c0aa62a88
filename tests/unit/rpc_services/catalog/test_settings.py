import pytest

from rpc_services.catalog.settings import read_settings
from shared.settings.reader import BadSettings


def test_without_a_word_the_shop_sells_for_euros():
    assert read_settings({}).currency == "EUR"


def test_a_currency_nobody_knows_is_refused():
    with pytest.raises(BadSettings):
        read_settings({"KIRANA_CURRENCY": "XXX"})
