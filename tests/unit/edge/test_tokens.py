import asyncio
import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from edge.keys import KeyRing
from edge.tokens import BadToken, Verifier
from tests.fakes.edge import KEY, FakeRpc, a_token

STRANGER = rsa.generate_private_key(65537, 2048)
PUBLIC_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def segment(data):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by_hand(header, payload):
    """What a library would refuse to make, with a good signature of ours."""
    body = f"{segment(header)}.{segment(payload)}"
    return f"{body}.{segment(KEY.sign(body.encode(), padding.PKCS1v15(), SHA256()))}"


def claims(**changes):
    return json.loads(base64.urlsafe_b64decode(a_token(**changes).split(".")[1] + "=="))


HEAD = {"alg": "RS256", "typ": "at+jwt", "kid": "current"}
NOW = int(time.time())
HMAC_BODY = f"{segment(HEAD | {'alg': 'HS256'})}.{segment(claims())}"


def hmac_with(secret):
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{HMAC_BODY}.{segment(algorithm.sign(HMAC_BODY.encode(), secret))}"


def a_verifier(now=time.time, **options):
    return Verifier(keys=KeyRing(FakeRpc()), issuer="kirana", audience="kirana-api", now=now, **options)


def verify(token, verifier=None):
    return asyncio.run((verifier or a_verifier()).verify(token))


def test_a_good_token_speaks_for_its_user():
    caller = verify(a_token(scope="catalog:write edge:admin"))

    assert (caller.user_id, caller.session_id) == ("user-1", "session-1")
    assert caller.scopes == {"catalog:write", "edge:admin"}


FORGED = {
    "signed by a stranger": a_token(key=STRANGER),
    "algorithm none": f"{segment(HEAD | {'alg': 'none'})}.{segment(claims())}.",
    "algorithm none with a signature": signed_by_hand(HEAD | {"alg": "nOnE"}, claims()),
    "HMAC with the public key": hmac_with(PUBLIC_PEM),
    "HMAC with any secret": hmac_with(b"x" * 64),
    "a stranger's key inside": signed_by_hand(HEAD | {"kid": "x", "jwk": {"kty": "RSA"}}, claims()),
    "no key id": signed_by_hand({"alg": "RS256", "typ": "at+jwt"}, claims()),
    "a path as key id": a_token(header={"kid": "../../dev/null"}),
    "a list as key id": signed_by_hand(HEAD | {"kid": ["current"]}, claims()),
    "an unknown key id": a_token(header={"kid": "gone"}),
    "a plain JWT": a_token(header={"typ": "JWT"}),
    "a refresh token": "fLhYb8nO3rYjBq0w",
    "crit": signed_by_hand(HEAD | {"crit": ["exp"]}, claims()),
    "unencoded payload": signed_by_hand(HEAD | {"b64": False}, claims()),
    "zip": signed_by_hand(HEAD | {"zip": "DEF"}, claims()),
    "expired": a_token(exp=NOW - 60),
    "not yet valid": a_token(nbf=NOW + 600),
    "issued in the future": a_token(iat=NOW + 600),
    "text as expiry": signed_by_hand(HEAD, claims() | {"exp": str(NOW + 600)}),
    "fraction as expiry": signed_by_hand(HEAD, claims() | {"exp": NOW + 600.5}),
    "truth as expiry": signed_by_hand(HEAD, claims() | {"exp": True}),
    "infinite expiry": signed_by_hand(HEAD, json.dumps(claims()).replace(str(NOW + 900), "1e400").encode()),
    "wrong audience": a_token(aud="another"),
    "list of audiences": a_token(aud=["kirana-api", "another"]),
    "wrong issuer": a_token(iss="another"),
    "number as subject": signed_by_hand(HEAD, claims() | {"sub": 1}),
    "empty session": a_token(sid=""),
    "list as scope": a_token(scope=["edge:admin"]),
    "a claim twice": signed_by_hand(HEAD, json.dumps(claims())[:-1].encode() + b', "sub": "admin"}'),
    "a header member twice": signed_by_hand(b'{"alg":"RS256","typ":"at+jwt","kid":"x","kid":"current"}', claims()),
    "a list as payload": signed_by_hand(HEAD, ["sub"]),
    "deep payload": signed_by_hand(HEAD, b"[" * 1500),
    "not JSON": signed_by_hand(HEAD, b"\xff\x00"),
    "five parts": "a.b.c.d.e",
    "garbage": "garbage",
    "padding": a_token() + "=",
    "enormous": a_token(note="x" * 4096),
    **{f"no {name}": a_token(**{name: None}) for name in ("exp", "iat", "nbf", "sub", "iss", "aud", "jti", "sid")},
}


@pytest.mark.parametrize("name", FORGED)
def test_no_other_token_opens_anything(name):
    with pytest.raises(BadToken):
        verify(FORGED[name])


def test_a_token_is_judged_once_and_forgotten_when_it_expires():
    now = [time.time()]
    verifier = a_verifier(lambda: now[0])
    token = a_token()
    first = verify(token, verifier)

    assert verify(token, verifier) is first
    now[0] += 900 + 10
    with pytest.raises(BadToken):
        verify(token, verifier)
    assert not verifier._verdicts
