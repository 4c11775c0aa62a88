import pytest

from edge.settings import PACKAGED_ROUTES, read_settings
from shared.settings.reader import BadSettings

ENOUGH = {
    "KIRANA_AMQP_URL": "amqp://edge:hush@127.0.0.1:5672/kirana",
    "KIRANA_REDIS_EDGE": "redis://:hush@127.0.0.1:6379/0",
    "KIRANA_CURSOR_SECRET": "hush" * 8,
}


def test_three_settings_are_enough_and_the_rest_is_strict():
    settings = read_settings(ENOUGH)

    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.rate_scale == 1
    assert settings.cors_origins == ()
    assert settings.consul_url is None
    assert settings.log_spool is None
    assert settings.routes == PACKAGED_ROUTES


def test_every_fault_is_named_at_once():
    with pytest.raises(BadSettings) as bad:
        read_settings(
            {
                "KIRANA_AMQP_URL": "http://nowhere",
                "KIRANA_CURSOR_SECRET": "short",
                "KIRANA_EDGE_WORKERS": "0",
                "KIRANA_EDGE_RATE_SCALE": "nan",
            }
        )

    named = "\n".join(bad.value.faults)
    for name in ("AMQP_URL", "REDIS_EDGE", "CURSOR_SECRET", "EDGE_WORKERS", "EDGE_RATE_SCALE"):
        assert f"KIRANA_{name}" in named
    assert bad.value.code == 78


def test_no_secret_shows_in_the_settings_text():
    assert "hush" not in repr(read_settings(ENOUGH))
