"""What identity is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from rpc_services.identity.key_rotation import ALGORITHMS, PUBLISH_AHEAD, Algorithm, Schedule
from rpc_services.workers import MAX_WORKERS
from shared.settings.reader import Reader, positive


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``key_passphrase`` seals the signing keys in the database; refresh tokens lead on by a secret made from it.

    ``schedule`` says how new keys sign (``KIRANA_JWT_ALGORITHM``) and how long they are published before they do
    (``KIRANA_KEY_PUBLISH_AHEAD``, in seconds: longer than anybody caches the key set).
    """

    key_passphrase: str = field(repr=False)
    jwt_issuer: str
    jwt_audience: str
    login_throttle_scale: int
    max_workers: int
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def refresh_secret(self) -> bytes:
        """The key under which a refresh token leads to its successor."""
        return sha256(b"kirana refresh tokens\0" + self.key_passphrase.encode()).digest()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`~shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    passphrase = reader.read("KEY_PASSPHRASE", _passphrase)
    issuer = reader.read("JWT_ISSUER", str, "kirana")
    audience = reader.read("JWT_AUDIENCE", str, "kirana-api")
    scale = reader.read("LOGIN_THROTTLE_SCALE", positive, 1)
    workers = reader.read("MAX_WORKERS", positive, MAX_WORKERS)
    schedule = Schedule(
        algorithm=reader.read("JWT_ALGORITHM", _algorithm, "RS256"),
        publish_ahead=reader.read("KEY_PUBLISH_AHEAD", _seconds, PUBLISH_AHEAD),
    )
    reader.finish()
    return Settings(
        key_passphrase=passphrase,
        jwt_issuer=issuer,
        jwt_audience=audience,
        login_throttle_scale=scale,
        max_workers=workers,
        schedule=schedule,
    )


def _algorithm(text: str) -> Algorithm:
    for known in ALGORITHMS:
        if text == known:
            return known
    raise ValueError(f"one of {', '.join(ALGORITHMS)} is expected.")


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=positive(text))


def _passphrase(text: str) -> str:
    if len(text) < 16:  # noqa: PLR2004 - the sentence below says it
        raise ValueError("at least 16 characters are expected.")
    return text
