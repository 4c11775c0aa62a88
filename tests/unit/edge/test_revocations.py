import asyncio

import pytest

from edge.claims import Caller
from edge.revocations import DEAF_SECONDS, EndedSessions
from shared.contracts.identity import RevokedUser


def a_caller(session="s", *, user="u", issued_at=100):
    return Caller(user, session, frozenset(), 1000, issued_at)


def all_of_user(issued_before, *, kept="", forget_at=2000):
    return RevokedUser(issued_before=issued_before, kept_session_id=kept, forget_at=forget_at)


def test_a_session_has_ended_from_the_moment_it_is_added():
    sessions = EndedSessions(wall=lambda: 0)

    assert not sessions.ended(a_caller("s"))
    sessions.add("s", 10)

    assert sessions.ended(a_caller("s"))
    assert not sessions.ended(a_caller("another"))


@pytest.mark.parametrize(("issued_at", "has_ended"), [(99, True), (100, False), (101, False)])
def test_a_users_sessions_end_for_the_tokens_issued_before_and_no_others(issued_at, has_ended):
    sessions = EndedSessions(wall=lambda: 0)
    sessions.add_user("u", all_of_user(100, kept="kept"))

    assert sessions.ended(a_caller(issued_at=issued_at)) is has_ended
    assert not sessions.ended(a_caller("kept", issued_at=issued_at))
    assert not sessions.ended(a_caller(user="another", issued_at=issued_at))


@pytest.mark.parametrize("order", ["as they happened", "reversed"])
def test_of_several_ends_of_a_user_the_one_that_reaches_furthest_holds_in_whatever_order_they_come(order):
    ends = [all_of_user(100, kept="first"), all_of_user(200, kept="second")]
    sessions = EndedSessions(wall=lambda: 0)

    for end in ends if order == "as they happened" else reversed(ends):
        sessions.add_user("u", end)

    assert sessions.ended(a_caller("first", issued_at=150))
    assert not sessions.ended(a_caller("second", issued_at=150))


def test_an_end_is_forgotten_only_when_the_last_token_has_expired():
    now = [9.0]
    sessions = EndedSessions(wall=lambda: now[0])
    sessions.add("s", 10)
    sessions.add("s", 5)
    sessions.add_user("u", all_of_user(100, forget_at=10))

    sessions.forget_expired()
    assert sessions.counts == {"session": 1, "user": 1}

    now[0] = 10.0
    sessions.forget_expired()
    assert sessions.counts == {"session": 0, "user": 0}


def test_a_table_that_was_never_filled_is_not_complete():
    assert not EndedSessions().is_complete


@pytest.mark.parametrize("how", ["it lost touch", "it can only read"])
def test_who_hears_nothing_knows_all_for_two_minutes_and_no_longer(how):
    now = [0.0]
    sessions = EndedSessions(monotonic=lambda: now[0])
    sessions.hear_all()
    now[0] = 1e6
    assert sessions.is_complete

    (sessions.lose_touch if how == "it lost touch" else sessions.read_all)()
    now[0] += DEAF_SECONDS - 1
    assert sessions.is_complete
    sessions.lose_touch()
    now[0] += 1

    assert not sessions.is_complete
    sessions.hear_all()
    assert sessions.is_complete


def test_losing_touch_makes_nothing_complete_that_was_not():
    sessions = EndedSessions()

    sessions.lose_touch()

    assert not sessions.is_complete


def test_a_start_waits_until_all_is_known_but_not_for_ever():
    async def starting():
        sessions = EndedSessions()
        early = await sessions.wait_until_complete(0.01)
        waiting = asyncio.create_task(sessions.wait_until_complete(30))
        await asyncio.sleep(0)
        sessions.hear_all()
        return early, await waiting

    assert asyncio.run(starting()) == (False, True)
