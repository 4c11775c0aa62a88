"""Signing keys as tests need them: made once per kind, since an RSA key takes a while."""

from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

FAMILIES = {
    rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
}


@cache
def a_private_key(algorithm, name=""):
    """The key of this name for this algorithm."""
    del name
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_jwk(key, *, key_id="k", **members):
    """Its public half as identity tells it; ``key_id=None`` leaves that out."""
    family = next(family for kind, family in FAMILIES.items() if isinstance(key, kind))
    jwk = family.to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    named = {} if key_id is None else {"kid": key_id}
    return {**jwk, "use": "sig", **named, **members}
