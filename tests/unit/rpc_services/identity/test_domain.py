from datetime import timedelta

import pytest

from rpc_services.identity.domain import SESSION_LIFE, is_mailable, new_session, sameness
from shared.values.identifiers import new_id
from tests.fakes.identity import NOON, an_account


def test_a_session_lives_thirty_days_and_not_a_moment_longer():
    session = new_session(new_id(), new_id(), NOON)

    assert not session.has_ended(NOON + SESSION_LIFE - timedelta(microseconds=1))
    assert session.has_ended(NOON + timedelta(days=30))


def test_what_prints_an_account_prints_no_secret_and_no_address():
    assert "hash of secret" not in repr(an_account())
    assert "@" not in repr(an_account())


def test_names_are_the_same_whatever_their_case():
    assert sameness("Straße@Example.COM") == sameness("STRASSE@example.com")


@pytest.mark.parametrize("address", ["anna@example.com", "a+b@example.com", "anna@exämple.com", "o'neil@example.com"])
def test_an_address_that_mail_can_go_to_is_known(address):
    assert is_mailable(address)


@pytest.mark.parametrize(
    "address",
    [
        "a,b@example.com",
        "<a@example.com>",
        "a@b@c",
        "@example.com",
        "a@",
        "a(b@c",
        "änna@example.com",
        "a@..c",
        "a@b>",
        "a@[127.0.0.1]",
        "a@[::1]",
        "a(b)@example.com",
        "a@-b.com",
        "a@b-.com",
        "a@b_c.com",
        "a@b.com.",
    ],
)
def test_an_address_that_no_mail_can_go_to_is_known(address):
    assert not is_mailable(address)
