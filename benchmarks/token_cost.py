"""Tells what it costs the edge to know a token again, beside checking its signature.

Everything is measured in one run, the best of several rounds, so that the ratios hold on a busy machine too. With
``--redis URL`` also what it costs when another worker has checked the token. Ends with status 1 when a remembered token
costs more than a twentieth of an RS256 verification.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from edge.keys import KeyRing
from edge.redis_client import make_redis
from edge.revocations import EndedSessions
from edge.rpc.calls import RpcReply
from edge.tokens import Verifier
from edge.verdicts import Verdicts

ROUNDS = 50
TIMES = 200
MOST_OF_A_VERIFICATION = 0.05
Look = Callable[[], Awaitable[None]]
CLAIMS = {
    "iss": "kirana",
    "aud": "kirana-api",
    "sub": "0199a7a4-5b1c-7d6e-9f00-0123456789ab",
    "sid": "0199a7a4-5b1c-7d6e-9f00-ba9876543210",
    "jti": "2f1f6a3e-8d0c-4a52-9a55-0c0ffee0c0de",
    "scope": "catalog:write orders:manage edge:admin",
}
MAKERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


class Identity:
    """Gives out the public half of each key."""

    def __init__(self, keys: dict[str, Any]) -> None:
        members = {name: MAKERS[name][1].to_jwk(key.public_key(), as_dict=True) for name, key in keys.items()}
        for name, member in members.items():
            member.pop("key_ops", None)
            member.update(kid=name, use="sig")
        self._reply = RpcReply({"keys": list(members.values())})

    async def call(self, *_: Any, **__: Any) -> RpcReply:
        """The key set."""
        return self._reply


def main() -> int:
    """Measure and print."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--redis", help="measure the verdicts of other workers in this Redis, too")
    return asyncio.run(_measure(reader.parse_args().redis))


async def _measure(redis_url: str | None) -> int:
    keys = {name: make() for name, (make, _) in MAKERS.items()}
    tokens = {name: _token(name, key) for name, key in keys.items()}
    ring = KeyRing(Identity(keys), algorithms=tuple(MAKERS))
    await ring.refresh()
    public = jwt.PyJWK(RSAAlgorithm.to_jwk(keys["RS256"].public_key(), as_dict=True), algorithm="RS256")
    verifier, fresh = _verifier(ring), _forgetful(_verifier(ring))
    await verifier.verify(tokens["RS256"])

    looks: dict[str, Look] = {"PyJWT alone, RS256": partial(_decoded, tokens["RS256"], public)}
    looks |= {f"first sight, {name}": partial(_waited, fresh, token) for name, token in tokens.items()}
    redis = make_redis(redis_url) if redis_url else None
    if redis is not None:
        shared = _forgetful(_verifier(ring, redis=redis))
        await shared.verify(tokens["RS256"])
        await asyncio.sleep(0.1)
        looks["seen by another worker, RS256"] = partial(_waited, shared, tokens["RS256"])
    looks["remembered"] = partial(_recognized, verifier, tokens["RS256"])
    figures = await _figures(looks)
    if redis is not None:
        await redis.aclose()

    for label, microseconds in figures.items():
        print(f"{label:32} {microseconds:8.2f} us")
    ratio = figures["remembered"] / figures["first sight, RS256"]
    strictly = figures["remembered"] / figures["PyJWT alone, RS256"]
    print(f"remembered / first sight {ratio:.1%}, remembered / PyJWT alone {strictly:.1%}")
    return int(strictly > MOST_OF_A_VERIFICATION)


def _token(name: str, key: Any) -> str:
    now = int(time.time())
    claims = CLAIMS | {"iat": now, "nbf": now, "exp": now + 900}
    return jwt.encode(claims, key, algorithm=name, headers={"typ": "at+jwt", "kid": name})


def _verifier(ring: KeyRing, **options: Any) -> Verifier:
    sessions = EndedSessions()
    sessions.hear_all()
    for number in range(1000):
        sessions.add(f"session-{number}", 2**31)
    return Verifier(
        keys=ring,
        issuer="kirana",
        audience="kirana-api",
        now=time.time,
        revocations=sessions,
        secret="a secret of the edges",
        **options,
    )


def _forgetful(verifier: Verifier) -> Verifier:
    verifier._local = Verdicts(limit=0)  # noqa: SLF001 - so that each look is the first
    return verifier


async def _decoded(token: str, key: jwt.PyJWK) -> None:
    for _ in range(TIMES):
        jwt.decode(
            token, key, algorithms=["RS256"], issuer="kirana", audience="kirana-api", options={"strict_aud": True}
        )


async def _waited(verifier: Verifier, token: str) -> None:
    for _ in range(TIMES):
        await verifier.verify(token)


async def _recognized(verifier: Verifier, token: str) -> None:
    for _ in range(TIMES):
        verifier.known(token)


async def _figures(looks: dict[str, Look]) -> dict[str, float]:
    """Microseconds for each. Every round has all of them, so that a busy moment is nobody's alone."""
    best = dict.fromkeys(looks, float("inf"))
    for _ in range(ROUNDS):
        for label, look in looks.items():
            began = time.perf_counter()
            await look()
            best[label] = min(best[label], (time.perf_counter() - began) / TIMES * 1e6)
    return best


if __name__ == "__main__":
    sys.exit(main())
