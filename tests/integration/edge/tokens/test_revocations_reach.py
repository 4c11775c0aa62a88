"""What identity ends is refused by every worker of every edge within a second, whatever was away meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from edge.settings import Settings
from edge.worker import make_worker
from tests.builders.keys import a_private_key
from tests.builders.proxy import Proxy
from tests.builders.rabbitmq import Rabbit
from tests.builders.redis import Redis
from tests.builders.waiting import eventually_async
from tests.fakes.edge import a_token, public_key, serving
from tests.integration.edge.rpc.plane import url_at
from tests.integration.edge.tokens.identity import PlayedIdentity

pytestmark = pytest.mark.anyio

NEXT = a_private_key("RS256", "next")
SCOPE = "edge:admin"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def broker() -> Iterator[Rabbit]:
    with Rabbit() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


class Edges:
    """Starts edge workers, each with its own connections and its own HTTP port."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @asynccontextmanager
    async def worker(self, amqp_url: str) -> AsyncIterator[Worker]:
        worker = make_worker(
            Settings(
                amqp_url=amqp_url,
                redis_url=self._redis.url,
                cursor_secret="s" * 32,
                coalescing=False,
                rate_scale=100.0,
            )
        )
        await worker.open()
        try:
            async with serving(worker.collaborators) as client:
                yield Worker(client)
        finally:
            await worker.leave()
            await worker.close()


class Worker:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def answers(self, token: str) -> int:
        answer = await self._client.get("/admin/routes", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code


@pytest.fixture
async def identity(broker: Rabbit) -> AsyncIterator[PlayedIdentity]:
    async with PlayedIdentity(broker.url, [public_key(), public_key(NEXT, "next")]) as played:
        yield played


@pytest.fixture
async def edges(redis: Redis) -> Edges:
    return Edges(redis)


async def all_answer(workers: list[Worker], token: str, status: int) -> bool:
    return {await worker.answers(token) for worker in workers} == {status}


async def seconds_until_refused(workers: list[Worker], token: str) -> float:
    began = time.monotonic()
    await eventually_async(lambda: all_answer(workers, token, 401), within=10, what="a refusal by every worker")
    return time.monotonic() - began


@pytest.mark.parametrize("what", ["a session", "all of a user"])
async def test_what_ends_is_refused_by_both_workers_within_a_second_though_they_knew_the_token(
    what: str, broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    token, other = a_token(sid="ended", sub="leaver", scope=SCOPE), a_token(scope=SCOPE)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(edges.worker(broker.url)) for _ in range(2)]
        assert await all_answer(workers, token, 200)

        await (identity.end_session("ended") if what == "a session" else identity.end_all_of("leaver"))

        assert await seconds_until_refused(workers, token) < 1
        assert await all_answer(workers, other, 200)


async def test_a_worker_that_starts_afterwards_refuses_from_its_first_request_on(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    token, other = a_token(sid="ended-before", scope=SCOPE), a_token(scope=SCOPE)
    async with edges.worker(broker.url) as before:
        assert await before.answers(token) == 200
    await identity.end_session("ended-before")

    async with edges.worker(broker.url) as after:
        assert await after.answers(token) == 401
        assert await after.answers(other) == 200


async def test_what_ended_while_a_worker_was_cut_off_is_refused_as_soon_as_it_is_back(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    token, later = a_token(sid="ended-meanwhile", scope=SCOPE), a_token(sid="ended-later", scope=SCOPE)
    with Proxy(broker.port) as network:
        async with edges.worker(url_at(network.port)) as worker:
            assert await worker.answers(token) == 200
            network.refuses = True
            network.cut()

            await identity.end_session("ended-meanwhile")
            assert await worker.answers(token) == 200
            network.heal()

            await eventually_async(lambda: all_answer([worker], token, 401), within=10)
            assert await worker.answers(later) == 200
            await identity.end_session("ended-later")
            assert await seconds_until_refused([worker], later) < 1


async def test_what_a_withdrawn_key_signed_is_refused_within_a_second_and_nothing_else_is(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    old, new = a_token(scope=SCOPE), a_token(key=NEXT, header={"kid": "next"}, scope=SCOPE)
    third = a_private_key("RS256", "third")
    newest = a_token(key=third, header={"kid": "third"}, scope=SCOPE)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(edges.worker(broker.url)) for _ in range(2)]
        assert await all_answer(workers, old, 200)
        assert await all_answer(workers, new, 200)

        asking: list[Any] = []
        turning = asyncio.create_task(identity.turn_keys([public_key(NEXT, "next"), public_key(third, "third")]))
        began = time.monotonic()
        while not (turning.done() and await all_answer(workers, old, 401)):
            asking.append(await all_answer(workers, new, 200))

        assert time.monotonic() - began < 1
        assert all(asking)
        await eventually_async(lambda: all_answer(workers, newest, 200), within=1)


async def test_a_worker_that_never_could_ask_who_has_ended_judges_no_token_until_it_can(
    broker: Rabbit, edges: Edges
) -> None:
    token = a_token(scope=SCOPE)
    async with edges.worker(broker.url) as worker:
        assert await worker.answers(token) == 503

        async with PlayedIdentity(broker.url, [public_key()]):
            await eventually_async(lambda: all_answer([worker], token, 200), within=15)
