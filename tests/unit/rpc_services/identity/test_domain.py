from datetime import timedelta

import pytest

from rpc_services.identity.domain import SESSION_LIFE, new_session, sameness, sameness_of_address
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
    assert sameness("Straße") == sameness("STRASSE")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.COM", "anna@example.com"),
        ("x@bücher.de", "x@XN--bcher-KVA.de"),
        ("x@BÜCHER.de", "x@bu\u0308cher.de"),
        ("x@ex\u3002org", "x@ex.org"),
        ("x@\uff45x.org", "x@ex.org"),
        ("x@r3---SN.org", "X@r3---sn.org"),
        ("x@\u2603.DE", "X@\u2603.de"),
    ],
)
def test_one_mailbox_is_one_address_however_its_host_is_spelt(one, other):
    assert sameness_of_address(one) == sameness_of_address(other)


def test_hosts_that_only_look_alike_are_two():
    assert sameness_of_address("x@straße.de") != sameness_of_address("x@strasse.de")
    assert sameness_of_address("x@bücher.de") != sameness_of_address("x@bucher.de")


@pytest.mark.parametrize("address", ["Anna@Example.COM", "x@bücher.de", "\u00c4@exÄmple.com", "x@r3---sn.org"])
def test_an_address_that_was_kept_as_names_are_is_still_found(address):
    assert sameness_of_address(address) == sameness(address)
