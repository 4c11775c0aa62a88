# ruff: noqa: ARG002 - a fake takes what the real one takes
from __future__ import annotations

import aiormq

from edge.revocations import EXCHANGE, EndedSessions, RevocationFeed
from edge.rpc.calls import RpcReply
from edge.rpc.connection import Broker
from edge.rpc.pending import Pending
from shared.contracts.events import SESSION_REVOKED
from tests.builders.events import a_revocation
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import run


class Identity:
    async def call(self, method, arguments, *, context):
        return RpcReply({"sessions": {"ended-before": 2_000_000_000}})


async def publish_until(url: str, session_id: str, sessions: EndedSessions) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)

        async def arrived() -> bool:
            await channel.basic_publish(a_revocation(session_id), exchange=EXCHANGE, routing_key=SESSION_REVOKED.name)
            return sessions.is_revoked(session_id)

        await eventually_async(arrived, within=10)


def test_an_ended_session_is_known_by_event_and_what_ended_before_by_asking(broker):
    async def scenario():
        sessions = EndedSessions()
        link_keeper = Broker(broker.url, name="edge-test", pending=Pending(limit=10))
        link_keeper.follow(RevocationFeed(sessions, rpc=Identity()).follow)
        await link_keeper.open()

        await publish_until(broker.url, "ended-now", sessions)
        link_keeper.link().lose("as if the connection broke")
        await publish_until(broker.url, "ended-after-reconnect", sessions)

        assert sessions.is_revoked("ended-before")
        assert not sessions.is_revoked("living")
        await link_keeper.close()

    run(scenario())
