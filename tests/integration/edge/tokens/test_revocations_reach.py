"""What identity ends is refused by every worker of every edge within a second, whatever was away meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from edge.rpc import consumers, link
from edge.settings import Settings
from edge.worker import make_worker
from tests.builders.keys import a_private_key
from tests.builders.proxy import Proxy
from tests.builders.rabbitmq import Rabbit
from tests.builders.redis import Redis
from tests.builders.waiting import eventually_async
from tests.fakes.edge import KEY, KEY_ID, a_token, public_key, serving
from tests.integration.edge.rpc.plane import url_at
from tests.integration.edge.tokens.identity import PlayedIdentity

pytestmark = pytest.mark.anyio

SCOPE = "edge:admin"
KEYS = [(KEY_ID, KEY), *((name, a_private_key("RS256", name)) for name in ("next", "third", "fourth", "fifth"))]
ROUNDS = 3
"""What is promised within a second may meet a busy moment of the machine; the best of so many tells what is so."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker falls silent here: one that is cut off says so."""
    monkeypatch.setattr(link, "CONFIRM_SECONDS", 20)
    monkeypatch.setattr(consumers, "ASKING_SECONDS", 20)


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

    async def first_judgement(self, token: str) -> int:
        """Until a worker knows the keys and who has ended, it says 503; on a busy machine it may serve before."""
        return await eventually_async(lambda: self._judgement(token), what="a judgement")

    async def _judgement(self, token: str) -> int | None:
        status = await self.answers(token)
        return None if status == 503 else status


@pytest.fixture
async def identity(broker: Rabbit) -> AsyncIterator[PlayedIdentity]:
    async with PlayedIdentity(broker.url, [public_key(key, name) for name, key in KEYS[:2]]) as played:
        yield played


@pytest.fixture
async def edges(redis: Redis) -> Edges:
    return Edges(redis)


def signed_with(name: str, key: Any) -> str:
    return a_token(key=key, header={"kid": name}, scope=SCOPE)


async def all_answer(workers: list[Worker], token: str, status: int) -> bool:
    return {await worker.answers(token) for worker in workers} == {status}


async def all_judge(workers: list[Worker], token: str) -> set[int]:
    return {await worker.first_judgement(token) for worker in workers}


async def until_refused(workers: list[Worker], token: str) -> None:
    """By what they are told or ask for at once: all that ended is read anew only once a minute."""
    await eventually_async(lambda: all_answer(workers, token, 401), within=30, what="a refusal by every worker")


async def quickest(round_of: Callable[[int], Awaitable[float]]) -> float:
    """The fewest seconds in so many rounds; no more of them than it takes to keep the promise."""
    took: list[float] = []
    while len(took) < ROUNDS and min(took, default=1.0) >= 1.0:
        took.append(await round_of(len(took)))
    return min(took)


@pytest.mark.parametrize("what", ["a session", "all of a user"])
async def test_what_ends_is_refused_by_both_workers_within_a_second_though_they_knew_the_token(
    what: str, broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    other = a_token(scope=SCOPE)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(edges.worker(broker.url)) for _ in range(2)]

        async def one_leaves(turn: int) -> float:
            session, user = f"ended-{turn}", f"leaver-{turn}"
            token = a_token(sid=session, sub=user, scope=SCOPE)
            assert await all_judge(workers, token) == {200}
            await (identity.end_session(session) if what == "a session" else identity.end_all_of(user))
            began = time.monotonic()
            await until_refused(workers, token)
            return time.monotonic() - began

        assert await quickest(one_leaves) < 1
        assert await all_answer(workers, other, 200)


async def test_a_worker_that_starts_afterwards_refuses_from_its_first_request_on(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    token, other = a_token(sid="ended-before", scope=SCOPE), a_token(scope=SCOPE)
    async with edges.worker(broker.url) as before:
        assert await before.first_judgement(token) == 200
    await identity.end_session("ended-before")

    async with edges.worker(broker.url) as after:
        assert await after.first_judgement(token) == 401
        assert await after.answers(other) == 200


async def test_what_ended_while_a_worker_was_cut_off_is_refused_as_soon_as_it_is_back(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    token = a_token(sid="ended-meanwhile", scope=SCOPE)
    with Proxy(broker.port) as network:
        async with edges.worker(url_at(network.port)) as worker:
            assert await worker.first_judgement(token) == 200
            network.refuses = True
            network.cut()

            await identity.end_session("ended-meanwhile")
            assert await worker.answers(token) == 200
            network.heal()

            await until_refused([worker], token)

            async def one_leaves(turn: int) -> float:
                later = a_token(sid=f"ended-later-{turn}", scope=SCOPE)
                assert await worker.answers(later) == 200
                await identity.end_session(f"ended-later-{turn}")
                began = time.monotonic()
                await until_refused([worker], later)
                return time.monotonic() - began

            assert await quickest(one_leaves) < 1


async def test_what_a_withdrawn_key_signed_is_refused_within_a_second_and_nothing_else_is(
    broker: Rabbit, identity: PlayedIdentity, edges: Edges
) -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(edges.worker(broker.url)) for _ in range(2)]

        async def they_turn(turn: int) -> float:
            old, new, newest = (signed_with(name, key) for name, key in KEYS[turn : turn + 3])
            assert await all_judge(workers, old) == {200}
            assert await all_answer(workers, new, 200)

            asking: list[Any] = []
            left = [public_key(key, name) for name, key in KEYS[turn + 1 : turn + 3]]
            turning = asyncio.create_task(identity.turn_keys(left))
            began = time.monotonic()
            while not (turning.done() and await all_answer(workers, old, 401)):
                asking.append(await all_answer(workers, new, 200))
            took = time.monotonic() - began

            assert all(asking)
            # without the news, half a minute would pass before anybody asked for a key that is not known
            await eventually_async(lambda: all_answer(workers, newest, 200), within=10)
            return took

        assert await quickest(they_turn) < 1


async def test_a_worker_that_never_could_ask_who_has_ended_judges_no_token_until_it_can(
    broker: Rabbit, edges: Edges
) -> None:
    token = a_token(scope=SCOPE)
    async with edges.worker(broker.url) as worker:
        assert await worker.answers(token) == 503

        async with PlayedIdentity(broker.url, [public_key()]):
            await eventually_async(lambda: all_answer([worker], token, 200))
