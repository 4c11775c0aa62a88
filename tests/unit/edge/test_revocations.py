# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio
from types import SimpleNamespace

from edge.revocations import EndedSessions, RevocationFeed
from edge.rpc.calls import RpcReply
from tests.builders.events import a_revocation


class FakeRpc:
    def __init__(self, sessions: dict[str, int]) -> None:
        self.sessions = sessions

    async def call(self, method, arguments, *, context):
        return RpcReply({"sessions": self.sessions})


def test_a_session_is_revoked_from_the_moment_it_is_added():
    sessions = EndedSessions(wall=lambda: 0)

    assert not sessions.is_revoked("s")
    sessions.add("s", 10)

    assert sessions.is_revoked("s")


def test_a_session_is_forgotten_only_when_its_last_token_has_expired():
    now = [9.0]
    sessions = EndedSessions(wall=lambda: now[0])
    sessions.add("s", 10)
    sessions.add("s", 5)

    sessions.forget_expired()
    assert sessions.is_revoked("s")

    now[0] = 10.0
    sessions.forget_expired()
    assert len(sessions) == 0


def test_an_event_revokes_and_an_unreadable_one_harms_nobody():
    sessions = EndedSessions(wall=lambda: 0)
    feed = RevocationFeed(sessions, rpc=FakeRpc({}))

    for body in (b"no json", b"{}", a_revocation("s", forget_at=10)):
        asyncio.run(feed.take(SimpleNamespace(body=body)))

    assert sessions.is_revoked("s")
    assert len(sessions) == 1


def test_loading_adds_what_identity_knows_to_what_was_heard():
    sessions = EndedSessions(wall=lambda: 0)
    sessions.add("heard", 10)

    asyncio.run(RevocationFeed(sessions, rpc=FakeRpc({"known": 20})).load())

    assert sessions.is_revoked("heard")
    assert sessions.is_revoked("known")
