import time

import eventlet
import pytest
from argon2 import PasswordHasher, extract_parameters

from rpc_services.identity.passwords import Argon2Passwords, Turnstile
from shared.contracts.refusals import Unavailable


@pytest.fixture(scope="module")
def passwords():
    return Argon2Passwords(Turnstile(at_once=2, waiting=2))


def test_the_right_password_is_right_and_no_other(passwords):
    kept = passwords.hashed("correct horse battery staple")

    assert passwords.is_right("correct horse battery staple", kept)
    assert not passwords.is_right("correct horse battery stapler", kept)


def test_nobody_has_no_right_password(passwords):
    assert not passwords.is_right("the password of nobody", None)


def test_for_nobody_the_same_work_is_done_as_for_somebody():
    verified = []

    class Watched(PasswordHasher):
        def verify(self, kept_hash, password):
            verified.append(extract_parameters(kept_hash))
            return super().verify(kept_hash, password)

    passwords = Argon2Passwords(Turnstile(at_once=1, waiting=1), Watched(1, 8, 1))
    kept = passwords.hashed("the right one")

    answers = [passwords.is_right("a wrong one", each) for each in (kept, None)]

    assert answers == [False, False]
    assert verified[0] == verified[1]


def test_a_kept_hash_that_is_none_lets_nobody_in(passwords):
    assert not passwords.is_right("anything", "not a hash")


def test_the_parameters_are_not_below_what_owasp_asks(passwords):
    used = extract_parameters(passwords.hashed("x"))

    assert (used.type.name, used.memory_cost, used.time_cost, used.parallelism) == ("ID", 19 * 1024, 2, 1)


def test_the_same_password_gives_another_hash_each_time(passwords):
    assert passwords.hashed("x") != passwords.hashed("x")


def test_other_greenlets_run_while_a_password_is_hashed():
    slow = Argon2Passwords(
        Turnstile(at_once=1, waiting=0), PasswordHasher(time_cost=20, memory_cost=19 * 1024, parallelism=1)
    )
    hashing = eventlet.spawn(slow.hashed, "x")
    turns = 0

    while not hashing.dead:
        eventlet.sleep(0.001)
        turns += 1

    assert turns > 10


def test_two_work_and_one_waits_and_the_rest_is_turned_away_until_there_is_room():
    turnstile = Turnstile(at_once=2, waiting=1)
    inside = [eventlet.spawn(turnstile.run, lambda: time.sleep(0.2)) for _ in range(3)]
    eventlet.sleep(0.05)

    with pytest.raises(Unavailable) as refused:
        turnstile.run(lambda: "too much")
    for each in inside:
        each.wait()

    assert refused.value.details["retry_after"] == 1
    assert turnstile.run(lambda: "room again") == "room again"


def test_work_that_fails_gives_its_place_back():
    turnstile = Turnstile(at_once=1, waiting=0)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            turnstile.run(lambda: 1 / 0)
