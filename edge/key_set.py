"""Makes verification keys of identity's key set: of the listed algorithms only, each key for the one that fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec

SHORTEST_RSA_BITS = 2048

_SHAPES = {"RS256": {"kty": "RSA"}, "ES256": {"kty": "EC", "crv": "P-256"}, "EdDSA": {"kty": "OKP", "crv": "Ed25519"}}
"""What a key must be to be used with an algorithm (RFC 7518, RFC 8037)."""

ALGORITHMS = tuple(_SHAPES)
"""What may be listed. All are asymmetric: nobody who can check a token can make one."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm it verifies. Two are the same only if everything about them is."""

    id: str
    algorithm: str
    jwk: jwt.PyJWK = field(compare=False, repr=False)
    source: bytes = field(repr=False)


def usable(
    members: Iterable[Any], *, algorithms: tuple[str, ...], known: Mapping[str, VerificationKey]
) -> dict[str, VerificationKey]:
    """The keys that fit, by id; others are passed over, not fatal. One that did not change stays the same object."""
    keys: dict[str, VerificationKey] = {}
    for member in members:
        key = _key(member, algorithms) if isinstance(member, dict) else None
        if key is not None:
            keys[key.id] = known[key.id] if known.get(key.id) == key else key
    return keys


def _key(member: dict[str, Any], algorithms: tuple[str, ...]) -> VerificationKey | None:
    key_id, algorithm = member.get("kid"), _algorithm(member)
    if algorithm not in algorithms or not isinstance(key_id, str) or not _is_for_verifying(member):
        return None
    try:
        jwk = jwt.PyJWK(member, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and jwk.key.key_size < SHORTEST_RSA_BITS:
        return None
    return VerificationKey(key_id, algorithm, jwk, msgspec.json.encode(member, order="sorted"))


def _algorithm(member: dict[str, Any]) -> str | None:
    """The algorithm that the key's own shape allows; what it says of itself may not contradict it."""
    for algorithm, shape in _SHAPES.items():
        if all(member.get(name) == value for name, value in shape.items()):
            return algorithm if member.get("alg", algorithm) == algorithm else None
    return None


def _is_for_verifying(member: dict[str, Any]) -> bool:
    operations = member.get("key_ops", ["verify"])
    is_public = "d" not in member
    return is_public and member.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
