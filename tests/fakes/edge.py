"""An edge without servers: fakes of everything behind it, and a real HTTP port in front of it."""

import functools
import socket
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from sanic import Sanic

from edge.application import Application
from edge.cache.answering import ResponseCache
from edge.cache.local import LocalStore
from edge.collaborators import Collaborators
from edge.keys import KeyRing
from edge.limiting.limiter import Limiter
from edge.pipeline import install
from edge.protocol import StrictProtocol
from edge.revocations import EndedSessions
from edge.routes import compiled
from edge.rpc.calls import RpcReply
from edge.settings import Settings
from shared.contracts.identity import GET_JWKS
from shared.values.identifiers import new_id
from tests.fakes.windows import FakeWindows

ROUTES = Path(__file__).parents[2] / "edge" / "routes.yaml"
KEY = rsa.generate_private_key(65537, 2048)
KEY_ID = "current"


def public_key(key=KEY, key_id=KEY_ID):
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


def a_token(*, key=KEY, algorithm="RS256", header=None, **claims):
    """A token like identity's, but for what the test says; ``None`` leaves a claim out."""
    now = int(time.time())
    body = {
        "iss": "kirana", "aud": "kirana-api", "sub": "user-1", "sid": "session-1", "jti": new_id(),
        "iat": now, "nbf": now, "exp": now + 900, "scope": "",
    } | claims  # fmt: skip
    head = {"kid": KEY_ID, "typ": "at+jwt"} | (header or {})
    return jwt.encode(
        {name: value for name, value in body.items() if value is not None}, key, algorithm=algorithm, headers=head
    )


class FakeRpc:
    """Services that give prepared answers: a value, an exception to raise, or a callable over the arguments."""

    def __init__(self, **answers):
        self.answers = {"get_jwks": {"keys": [public_key()]}} | answers
        self.calls = []

    async def call(self, method, arguments, *, context):
        if method is not GET_JWKS:
            self.calls.append((method.name, arguments, context))
        answer = self.answers[method.name]
        if callable(answer):
            answer = await answer(arguments, context)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, RpcReply) else RpcReply(answer)


class FakeRedis:
    """As much of Redis as token verdicts and kept answers use, or a Redis that is away (``fault``)."""

    def __init__(self):
        self.fault = None
        self.values = {}

    async def ping(self):
        if self.fault is not None:
            raise self.fault

    async def get(self, name):
        await self.ping()
        return self.values.get(name)

    async def set(self, name, value, *, nx=False, get=False, **_expiry):
        await self.ping()
        earlier = self.values.get(name)
        if earlier is None or not nx:
            self.values[name] = value
        return earlier if get else True

    async def delete(self, name):
        await self.ping()
        self.values.pop(name, None)


class FakeHealth:
    def __init__(self):
        self.broker = "ok"
        self.is_out = False

    def ready(self):
        return self.broker != "down"

    def dependencies(self):
        return {"broker": self.broker}

    def services(self):
        return {"catalog": {"breaker": "closed"}}


def none_ended():
    """A table of ended sessions that identity has filled: nothing ended yet."""
    sessions = EndedSessions()
    sessions.hear_all()
    return sessions


def collaborators(rpc=None, *, redis=None, health=None, cache=None, windows=None, **settings):
    rpc = rpc or FakeRpc()
    options = {"amqp_url": "amqp://", "redis_url": "redis://", "cursor_secret": "s" * 32} | settings
    configured = Settings(**options)
    return Collaborators(
        settings=configured,
        rpc=rpc,
        redis=redis or FakeRedis(),
        clock=lambda: datetime.now(UTC),
        revocations=none_ended(),
        keys=KeyRing(rpc, algorithms=configured.jwt_algorithms),
        health=health or FakeHealth(),
        cache=cache or ResponseCache(local=LocalStore(0)),  # unless a test wants one, nothing is kept
        limiter=Limiter(windows or FakeWindows(), scale=configured.rate_scale),  # judges alone until it is opened
    )


_compiled = functools.cache(compiled)


def table_of(path):
    """Compiled once for many tests; nothing ever changes one."""
    return _compiled(Path(path).read_text(encoding="utf-8"))


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A client would read all certificates of the world first, for each test anew."""


@asynccontextmanager
async def serving(parts, routes=ROUTES, *, shared=None):
    """An HTTP client of an edge on a free port of this machine; ``shared`` is where it offers tables to all.

    ``client.live`` holds the table in force.
    """
    app = Application(f"edge-{new_id()}")
    app.config.update(MOTD=False, TOUCHUP=False)
    live = install(app, table_of(routes), parts)
    live.shared = shared
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = await app.create_server(
        sock=listening, return_asyncio_server=True, access_log=False, protocol=StrictProtocol
    )
    await server.startup()
    await server.start_serving()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, verify=NO_TLS) as client:
            client.live = live
            yield client
    finally:
        server.close()
        await server.wait_closed()
        Sanic.unregister_app(app)
