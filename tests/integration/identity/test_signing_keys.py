from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete

from rpc_services.identity.key_rotation import SIGN_FOR
from rpc_services.identity.signing import KeyCabinet
from rpc_services.identity.signing_keys import SqlSigningKeys, ensured_current
from rpc_services.identity.tables import signing_keys
from shared.values.times import now
from tests.fakes.clock import FakeClock

CABINET = KeyCabinet("a passphrase for tests")


@pytest.fixture(autouse=True)
def _no_keys(scope):
    with scope.writing() as transaction:
        transaction.execute(delete(signing_keys))


def test_of_many_that_start_at_once_all_sign_with_the_same_first_key(scope):
    def start(_):
        with scope.writing() as transaction:
            return ensured_current(transaction, CABINET.new_key, now).kid

    with ThreadPoolExecutor(6) as pool:
        kids = set(pool.map(start, range(12)))

    with scope.reading() as transaction:
        published = {key["kid"] for key in SqlSigningKeys(transaction).public()}
    assert len(kids) == 1
    assert kids < published
    assert len(published) == 2


def test_the_key_turns_when_it_is_old_and_a_token_of_the_old_one_can_still_be_verified(scope):
    clock = FakeClock()
    with scope.writing() as transaction:
        old = ensured_current(transaction, CABINET.new_key, clock)

    clock.advance(SIGN_FOR)
    with scope.writing() as transaction:
        keys = SqlSigningKeys(transaction)
        steps = keys.keep_turning(CABINET.new_key, clock)
        current, published = keys.current(), {key["kid"] for key in keys.public()}

    assert [step.state for step in steps] == ["retiring", "current", "next"]
    assert current.kid != old.kid
    assert {current.kid, old.kid} < published

    clock.advance(timedelta(hours=1))
    with scope.writing() as transaction:
        SqlSigningKeys(transaction).keep_turning(CABINET.new_key, clock)
        assert old.kid not in {key["kid"] for key in SqlSigningKeys(transaction).public()}


def test_what_is_stored_is_opened_by_the_passphrase_alone(scope):
    with scope.writing() as transaction:
        ensured_current(transaction, CABINET.new_key, now)
    with scope.reading() as transaction:
        stored = SqlSigningKeys(transaction).current()

    assert KeyCabinet("a passphrase for tests").opened(stored).key_size == 2048
