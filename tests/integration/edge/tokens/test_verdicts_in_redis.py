"""Workers share what they found of tokens through a real Redis, and miss it for no longer than a moment."""

import time

import pytest
from structlog.testing import capture_logs

from edge import verdicts
from edge.keys import KeyRing
from edge.redis_client import make_redis
from edge.tokens import BadToken, Verifier
from shared.metrics.counting import registry
from tests.builders.keys import a_private_key
from tests.builders.redis import Redis
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token, none_ended

pytestmark = pytest.mark.anyio

STRANGER = a_private_key("RS256", "stranger")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is no Redis that is away."""
    monkeypatch.setattr(verdicts, "REDIS_SECONDS", 5)


@pytest.fixture(scope="module")
def server():
    with Redis() as running:
        yield running


@pytest.fixture
async def redis(server):
    client = make_redis(server.url, patience=5.0)
    await client.flushall()
    yield client
    await client.aclose()


def a_worker(redis):
    return Verifier(
        keys=KeyRing(FakeRpc()),
        issuer="kirana",
        audience="kirana-api",
        now=time.time,
        revocations=none_ended(),
        secret="s" * 32,
        redis=redis,
    )


def counted(source):
    return registry.get_sample_value("kirana_edge_token_verdicts_total", {"source": source})


async def told_by(worker, token, redis):
    """The names and values in Redis once the worker has judged the token."""
    await worker.verify(token)
    names = await eventually_async(redis.keys, what="a verdict in Redis")
    return names, [await redis.get(name) for name in names]


async def test_what_one_worker_found_saves_another_the_signature(redis):
    token = a_token()
    await told_by(a_worker(redis), token, redis)
    before = counted("shared"), counted("judged")

    assert (await a_worker(redis).verify(token)).user_id == "user-1"

    assert (counted("shared"), counted("judged")) == (before[0] + 1, before[1])


@pytest.mark.parametrize(("life", "longest"), [(900, 300), (60, 60)])
async def test_a_verdict_lives_no_longer_than_its_token_and_tells_nothing_of_it(redis, life, longest):
    token = a_token(exp=int(time.time()) + life)

    [name], [seal] = await told_by(a_worker(redis), token, redis)

    assert longest - 10 <= await redis.ttl(name) <= longest
    assert len(seal) == 32
    assert not [part for part in token.split(".") if part.encode() in name]


async def test_who_writes_into_redis_gives_nobody_a_right(redis):
    [name], [seal] = await told_by(a_worker(redis), a_token(), redis)
    forged = a_token(key=STRANGER, scope="edge:admin")
    worker = a_worker(redis)
    name_of_forged = b"verdict:" + worker._fingerprint(forged).hex().encode()
    assert len(name_of_forged) == len(name)

    for value in (seal, b"1", b"\0" * 32, b"x" * 1_000_000):
        await redis.set(name_of_forged, value)
        with pytest.raises(BadToken):
            await worker.verify(forged)


async def test_a_redis_that_hangs_or_is_killed_delays_nobody_and_is_used_again_when_it_is_back(
    server, redis, monkeypatch
):
    worker, known = a_worker(redis), a_token()
    await told_by(worker, known, redis)
    monkeypatch.setattr(verdicts, "REDIS_SECONDS", 0.2)

    with capture_logs() as logs:
        for how, back in ((server.pause, server.resume), (server.kill, server.start)):
            how()
            fresh = [a_token() for _ in range(100)]
            began = time.monotonic()
            for token in fresh:
                assert (await worker.verify(token)).user_id == "user-1"
            assert time.monotonic() - began < 8  # at 200 ms each it would be twenty
            assert worker.known(known) is not None
            await eventually_async(lambda: is_told(worker, logs, "edge.verdicts_are_local"))
            back()
            await eventually_async(lambda: is_told(worker, logs, "edge.verdicts_are_shared_again"))
            assert {one["event"] for one in logs} == {"edge.verdicts_are_local", "edge.verdicts_are_shared_again"}
            assert len(logs) == 2
            logs.clear()


async def is_told(worker, logs, event):
    await worker.verify(a_token())
    return event in [one["event"] for one in logs]
