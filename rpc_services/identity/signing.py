"""Makes signing keys, keeps them sealed by a passphrase, and signs access tokens with the current one."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm

ALGORITHM = "RS256"
_BITS = 2048


class WrongPassphrase(Exception):
    """The passphrase does not open the keys that another one sealed: no token can be made with it."""


@dataclass(frozen=True)
class SealedKey:
    """A key pair as it is stored: its private half can only be read with the passphrase."""

    kid: str
    public_jwk: dict[str, Any]
    sealed_private_pem: bytes = field(repr=False)


class KeyCabinet:
    """Seals and opens private keys; an opened one is remembered, since opening is slow on purpose."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase.encode()
        self._opened: dict[str, RSAPrivateKey] = {}

    def new_key(self) -> SealedKey:
        """A fresh RSA key, named by a digest of its public half. Takes a good part of a second."""
        private = generate_private_key(public_exponent=65537, key_size=_BITS)
        public = private.public_key()
        kid = sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": kid, "use": "sig", "alg": ALGORITHM}
        jwk.pop("key_ops", None)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrase))
        self._opened[kid] = private
        return SealedKey(kid, jwk, pem)

    def opened(self, key: SealedKey) -> RSAPrivateKey:
        """The private key. Raises :class:`WrongPassphrase`."""
        if key.kid not in self._opened:
            try:
                private = load_pem_private_key(key.sealed_private_pem, self._passphrase)
            except ValueError:
                raise WrongPassphrase("KIRANA_KEY_PASSPHRASE does not open the signing keys in the database.") from None
            if not isinstance(private, RSAPrivateKey):
                raise WrongPassphrase("A signing key in the database is not an RSA key.")
            self._opened[key.kid] = private
        return self._opened[key.kid]


@dataclass(frozen=True)
class KeySigner:
    """Signs as RFC 9068 wants it. The same claims always give the same signature."""

    cabinet: KeyCabinet
    key: SealedKey

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWS in compact form."""
        header = {"typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(claims, self.cabinet.opened(self.key), algorithm=ALGORITHM, headers=header)
