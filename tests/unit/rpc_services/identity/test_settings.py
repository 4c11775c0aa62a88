import pytest

from rpc_services.identity.settings import read_settings
from shared.settings.reader import BadSettings


def test_only_the_passphrase_has_no_default():
    settings = read_settings({"KIRANA_KEY_PASSPHRASE": "long enough to seal"})

    assert (settings.jwt_issuer, settings.jwt_audience, settings.login_throttle_scale) == ("kirana", "kirana-api", 1)


def test_the_passphrase_is_not_printed_and_not_used_as_it_is():
    settings = read_settings({"KIRANA_KEY_PASSPHRASE": "long enough to seal"})

    assert "long enough" not in repr(settings)
    assert b"long enough" not in settings.refresh_secret


def test_every_fault_is_told_at_once():
    with pytest.raises(BadSettings) as bad:
        read_settings({"KIRANA_KEY_PASSPHRASE": "short", "KIRANA_LOGIN_THROTTLE_SCALE": "0"})

    assert len(bad.value.faults) == 2
