from datetime import timedelta

from rpc_services.identity.domain import SESSION_LIFE, new_session, sameness
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
