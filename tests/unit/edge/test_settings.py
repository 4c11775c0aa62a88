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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"KIRANA_EDGE_PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"KIRANA_JWT_ISSUER": "https://shop.example/"}, "https://shop.example"),
        ({"KIRANA_JWT_ISSUER": "kirana"}, "http://127.0.0.1:8000"),
        ({"KIRANA_JWT_ISSUER": "https://a.example", "KIRANA_PUBLIC_URL": "https://b.example/"}, "https://b.example"),
    ],
    ids=["nothing", "a port", "an issuer that is an address", "an issuer that is a name", "both"],
)
def test_metadata_tells_the_address_that_was_given_or_the_issuer_or_our_own(given, expected):
    assert read_settings(ENOUGH | given).public_url == expected


@pytest.mark.parametrize("listed", ["RS256", "ES256, EdDSA", "EdDSA,RS256,ES256"])
def test_the_algorithms_of_tokens_are_those_that_are_listed(listed):
    settings = read_settings(ENOUGH | {"KIRANA_JWT_ALGORITHMS": listed})

    assert settings.jwt_algorithms == tuple(listed.replace(" ", "").split(","))


@pytest.mark.parametrize("listed", ["HS256", "RS256,none", ",", "rs256"])
def test_an_algorithm_that_cannot_be_taken_is_a_fault(listed):
    with pytest.raises(BadSettings):
        read_settings(ENOUGH | {"KIRANA_JWT_ALGORITHMS": listed})


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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0.0, 80)),
        ({"KIRANA_EDGE_SLOW_CALLS": "0"}, (0.0, 80)),
        ({"KIRANA_EDGE_SLOW_CALLS": "1.5", "KIRANA_EDGE_SLOW_PERCENT": "100"}, (1.5, 100)),
    ],
)
def test_no_call_is_slow_unless_an_operator_says_from_when_on(given, expected):
    settings = read_settings(ENOUGH | given)

    assert (settings.slow_calls, settings.slow_percent) == expected


@pytest.mark.parametrize(("name", "value"), [("CALLS", "-1"), ("CALLS", "soon"), ("PERCENT", "0"), ("PERCENT", "101")])
def test_what_cannot_be_slow_is_a_fault(name, value):
    with pytest.raises(BadSettings):
        read_settings(ENOUGH | {f"KIRANA_EDGE_SLOW_{name}": value})


def test_networks_are_networks():
    more = {"KIRANA_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32", "KIRANA_EDGE_DENY": "192.0.2.7"}
    settings = read_settings(ENOUGH | more)
    assert settings.trusted_proxies == ("10.0.0.0/8", "2001:db8::/32")
    assert settings.denied == ("192.0.2.7",)

    with pytest.raises(BadSettings) as bad:
        read_settings(ENOUGH | {"KIRANA_TRUSTED_PROXIES": "everybody", "KIRANA_EDGE_DENY": "10.0.0.1/8"})

    assert [fault.partition(":")[0] for fault in bad.value.faults] == ["KIRANA_TRUSTED_PROXIES", "KIRANA_EDGE_DENY"]
