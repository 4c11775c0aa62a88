"""What identity is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from rpc_services.workers import MAX_WORKERS
from shared.settings.reader import Reader, positive


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``key_passphrase`` seals the signing keys in the database; refresh tokens lead on by a secret made from it."""

    key_passphrase: str = field(repr=False)
    jwt_issuer: str
    jwt_audience: str
    login_throttle_scale: int
    max_workers: int

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
    reader.finish()
    return Settings(
        key_passphrase=passphrase,
        jwt_issuer=issuer,
        jwt_audience=audience,
        login_throttle_scale=scale,
        max_workers=workers,
    )


def _passphrase(text: str) -> str:
    if len(text) < 16:  # noqa: PLR2004 - the sentence below says it
        raise ValueError("at least 16 characters are expected.")
    return text
