"""Many who guess, from one place and from everywhere: few guesses are looked at, and no owner is shut out."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete

from rpc_services.identity.storage import SqlAccounts, SqlAttempts
from rpc_services.identity.tables import known_visitors, login_attempts
from rpc_services.identity.use_cases import Gate
from shared.contracts.identity import InvalidCredentials, IssueTokens, TooManyAttempts
from shared.values.times import now
from tests.fakes.clock import FakeClock
from tests.fakes.identity import FakePasswords, an_account

HOME, ABROAD = "203.0.113.5", "192.0.2.77"


class Door:
    """The gate, with real counters and passwords that cost nothing to check."""

    def __init__(self, scope):
        self.scope, self.clock, self.passwords = scope, FakeClock(), FakePasswords()
        self.account = an_account()
        with scope.writing() as transaction:
            SqlAccounts(transaction, now).add(self.account)
        self.gate = Gate(self.named, self.passwords, SqlAttempts(scope.writing, self.clock), 1)

    def named(self, username):
        with self.scope.reading() as transaction:
            return SqlAccounts(transaction, now).named(username)

    def knock(self, address, password="wrong"):
        request = IssueTokens(username=self.account.username, password=password, client_address=address)
        try:
            return self.gate.admit(request)
        except (InvalidCredentials, TooManyAttempts) as refusal:
            return refusal

    def flood(self, addresses):
        """All at once; gives how many guesses were looked at."""
        before = len(self.passwords.checked)
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(self.knock, addresses))
        waits = [each.details["retry_after"] for each in outcomes if isinstance(each, TooManyAttempts)]
        assert all(wait >= 1 for wait in waits)
        assert len(waits) == len(outcomes) - (len(self.passwords.checked) - before)
        return len(self.passwords.checked) - before


@pytest.fixture
def door(scope):
    with scope.writing() as transaction:
        transaction.execute(delete(login_attempts))
        transaction.execute(delete(known_visitors))
    return Door(scope)


def test_fifty_guesses_from_one_address_at_once_are_ten_and_the_owner_comes_in_from_elsewhere(door):
    assert door.flood([ABROAD] * 50) == 10

    assert door.knock(HOME, "secret") == door.account


def test_guesses_from_everywhere_are_a_hundred_and_the_owner_comes_in_from_where_they_are_known(door):
    assert door.knock(HOME, "secret") == door.account

    guesses = door.flood([f"198.51.{third}.{fourth}" for third in range(2) for fourth in range(75)])

    assert guesses == 100
    assert isinstance(door.knock(ABROAD, "secret"), TooManyAttempts)
    assert door.knock(HOME, "secret") == door.account


def test_one_address_of_many_names_is_held_back_whatever_the_names(door):
    names = [f"somebody-{number}" for number in range(50)]

    def knock(name):
        try:
            door.gate.admit(IssueTokens(username=name, password="wrong", client_address=ABROAD))
        except (InvalidCredentials, TooManyAttempts) as refusal:
            return type(refusal)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(knock, names))

    assert outcomes.count(InvalidCredentials) == 30
