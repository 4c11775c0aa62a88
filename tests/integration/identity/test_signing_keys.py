from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete

from rpc_services.identity.key_rotation import SIGN_FOR, Schedule
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


def test_a_key_that_is_hastened_is_replaced_when_the_next_has_been_published_long_enough(scope):
    clock, schedule = FakeClock(), Schedule(algorithm="ES256", publish_ahead=timedelta(minutes=20))
    with scope.writing() as transaction:
        old = ensured_current(transaction, CABINET.new_key, clock, schedule)
        keys = SqlSigningKeys(transaction, schedule)

        keys.hasten(clock())
        too_early = keys.keep_turning(CABINET.new_key, clock)
        clock.advance(timedelta(minutes=20))
        steps = keys.keep_turning(CABINET.new_key, clock)

        assert not too_early
        assert [step.state for step in steps] == ["retiring", "current", "next"]
        assert {key.state: key.kid for key in keys.known()}["retiring"] == old.kid
        assert {key.algorithm for key in keys.known()} == {"ES256"}


def test_of_compromised_keys_none_is_published_any_more_and_others_sign_at_once(scope):
    with scope.writing() as transaction:
        ensured_current(transaction, CABINET.new_key, now)
        keys = SqlSigningKeys(transaction)
        former = {key["kid"] for key in keys.public()}

        keys.forget_all()
        keys.keep_turning(CABINET.new_key, now)

        assert keys.current()
        assert not former & {key["kid"] for key in keys.public()}


def test_what_is_stored_is_opened_by_the_passphrase_alone(scope):
    with scope.writing() as transaction:
        ensured_current(transaction, CABINET.new_key, now)
    with scope.reading() as transaction:
        stored = SqlSigningKeys(transaction).current()

    assert KeyCabinet("a passphrase for tests").opened(stored).key_size == 2048
