import threading
import time
from datetime import timedelta

import eventlet
import pytest
from argon2 import PasswordHasher, extract_parameters

from rpc_services.identity.passwords import Argon2Passwords, Turnstile
from shared.contracts.refusals import Unavailable
from shared.messaging.call import Call, serving
from shared.resilience.deadline import Deadline


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


def test_who_has_queued_for_half_of_their_time_is_turned_away_while_others_wait_on():
    turnstile, gate = Turnstile(at_once=1, waiting=2), threading.Event()
    inside = eventlet.spawn(turnstile.run, gate.wait)
    patient = eventlet.spawn(turnstile.run, lambda: "came in")
    eventlet.sleep(0)

    hurried = Call(request_id="r", deadline=Deadline.after(timedelta(seconds=6)))
    with serving(hurried), pytest.raises(Unavailable):
        turnstile.run(lambda: "too late")
    assert not hurried.deadline.has_passed()
    gate.set()

    assert (inside.wait(), patient.wait()) == (True, "came in")
    assert turnstile.run(lambda: "room again") == "room again"


def test_whose_time_is_over_is_not_worked_for_behind_others():
    turnstile, gate = Turnstile(at_once=1, waiting=1), threading.Event()
    inside = eventlet.spawn(turnstile.run, gate.wait)
    eventlet.sleep(0)

    late = Call(request_id="r", deadline=Deadline.after(timedelta(seconds=-1)))
    with serving(late), pytest.raises(Unavailable):
        turnstile.run(lambda: "too late")
    gate.set()

    assert inside.wait()


def test_work_that_fails_gives_its_place_back():
    turnstile = Turnstile(at_once=1, waiting=0)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            turnstile.run(lambda: 1 / 0)
