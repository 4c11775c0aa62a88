from pathlib import Path

import pytest

from rpc_services.cart.settings import read_settings
from shared.settings.reader import BadSettings


def test_shards_are_a_list_of_urls_and_stay_out_of_logs():
    settings = read_settings(
        {"KIRANA_REDIS_CARTS": "redis://:secret@a:1/0, redis://b:2/0", "KIRANA_CART_JOURNAL": "/j"}
    )

    assert settings.redis_urls == ("redis://:secret@a:1/0", "redis://b:2/0")
    assert settings.journal == Path("/j")
    assert "secret" not in repr(settings)


def test_all_faults_are_named_at_once():
    with pytest.raises(BadSettings) as fault:
        read_settings({"KIRANA_REDIS_CARTS": "localhost"})

    assert len(fault.value.faults) == 2
