"""Makes signing keys, keeps them sealed by a passphrase, and signs access tokens with the current one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from rpc_services.identity.key_rotation import Algorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_RSA_BITS = 2048
_MAKERS: dict[Algorithm, Callable[[], PrivateKey]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


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
        self._opened: dict[str, PrivateKey] = {}

    def new_key(self, algorithm: Algorithm = "RS256") -> SealedKey:
        """A fresh key, named by a digest of its public half. An RSA key takes a good part of a second."""
        private = _MAKERS[algorithm]()
        public = private.public_key()
        kid = sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]
        jwk = _public_jwk(private) | {"kid": kid, "use": "sig", "alg": algorithm}
        jwk.pop("key_ops", None)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrase))
        self._opened[kid] = private
        return SealedKey(kid, jwk, pem)

    def opened(self, key: SealedKey) -> PrivateKey:
        """The private key. Raises :class:`WrongPassphrase`."""
        if key.kid not in self._opened:
            try:
                private = load_pem_private_key(key.sealed_private_pem, self._passphrase)
            except ValueError:
                raise WrongPassphrase("KIRANA_KEY_PASSPHRASE does not open the signing keys in the database.") from None
            if not isinstance(private, PrivateKey):
                raise WrongPassphrase("A signing key in the database is of a kind that nobody here made.")
            self._opened[key.kid] = private
        return self._opened[key.kid]


@dataclass(frozen=True)
class KeySigner:
    """Signs as RFC 9068 wants it, with the key's own algorithm.

    The same claims give the same signature, but for ES256, which draws a number each time: there a repeated exchange
    gives a token that says the same and only looks different.
    """

    cabinet: KeyCabinet
    key: SealedKey

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWS in compact form."""
        header = {"typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(claims, self.cabinet.opened(self.key), algorithm=self.key.public_jwk["alg"], headers=header)


def _public_jwk(private: PrivateKey) -> dict[str, Any]:
    if isinstance(private, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
