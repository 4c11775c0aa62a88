# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio
from types import SimpleNamespace

import pytest

from edge.claims import Caller
from edge.keys import KeyRing
from edge.revocation_feed import RevocationFeed
from edge.revocations import EndedSessions
from edge.rpc.calls import RpcReply
from shared.contracts.events import ORDER_PLACED, SIGNING_KEYS_TURNED, USER_SESSIONS_REVOKED
from tests.builders.events import a_revocation, an_event_of
from tests.builders.keys import a_private_key
from tests.fakes.edge import FakeRpc, public_key

USER_ENDED = an_event_of(
    USER_SESSIONS_REVOKED, "u", user_id="u", issued_before=100, kept_session_id="kept", forget_at=2_000_000_000
)


class Identity:
    def __init__(self, **known):
        self.known = known

    async def call(self, method, arguments, *, context):
        return RpcReply(self.known)


def taking(feed, *bodies):
    async def take():
        for body in bodies:
            await feed.take(SimpleNamespace(body=body))
        await asyncio.gather(*feed._turning)

    asyncio.run(take())


def test_an_event_ends_a_session_or_a_users_sessions():
    sessions = EndedSessions(wall=lambda: 0)

    taking(RevocationFeed(sessions, rpc=Identity()), a_revocation("s", forget_at=10), USER_ENDED)

    assert sessions.is_revoked("s")
    assert sessions.ended(Caller("u", "another", frozenset(), 0, 99))
    assert not sessions.ended(Caller("u", "kept", frozenset(), 0, 99))


UNREADABLE = {
    "no json": b"no json",
    "no event": b"{}",
    "an event without what it is about": an_event_of(USER_SESSIONS_REVOKED, "u", user_id="u"),
    "no UTF-8": b'{"type":"\xff"}',
    "too deep": b"[" * 100_000,
    "an event of another kind": an_event_of(ORDER_PLACED, "o"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_event_that_cannot_be_read_harms_nobody(name):
    sessions = EndedSessions(wall=lambda: 0)

    taking(RevocationFeed(sessions, rpc=Identity()), UNREADABLE[name], a_revocation("s"))

    assert sessions.counts == {"session": 1, "user": 0}


def test_turned_keys_are_given_up_and_read_anew():
    rpc = FakeRpc(get_jwks={"keys": [public_key(), public_key(a_private_key("RS256"), "next")]})
    ring = KeyRing(rpc)
    asyncio.run(ring.refresh())
    rpc.answers["get_jwks"]["keys"] = [public_key(a_private_key("RS256"), "after")]

    feed = RevocationFeed(EndedSessions(), rpc=rpc, keys=ring)
    taking(feed, an_event_of(SIGNING_KEYS_TURNED, "keys", key_ids=["after"]))

    assert [ring.known(each) is not None for each in ("current", "next", "after")] == [False, False, True]


def test_loading_adds_what_identity_knows_to_what_was_heard():
    sessions = EndedSessions(wall=lambda: 0)
    sessions.add("heard", 10)
    known = {"u": {"issued_before": 100, "kept_session_id": "", "forget_at": 20}}

    asyncio.run(RevocationFeed(sessions, rpc=Identity(sessions={"known": 20}, users=known)).load())

    assert sessions.is_revoked("heard")
    assert sessions.is_revoked("known")
    assert sessions.ended(Caller("u", "any", frozenset(), 0, 99))
