"""Section B of the attack matrix, row by row, against the edge's own pipeline behind a real port."""

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.hashes import SHA256

from edge.keys import KeyRing
from edge.rpc.failures import NotExecuted, RemoteRefusal
from shared.contracts.identity import InvalidRefreshToken, RevokedUser
from tests.builders.answers import a_cart_answer
from tests.builders.keys import a_private_key, public_jwk
from tests.fakes.edge import KEY, KEY_ID, FakeRpc, a_token, collaborators, public_key, serving

pytestmark = pytest.mark.anyio

STRANGER = a_private_key("RS256", "stranger")
ES_KEY = a_private_key("ES256")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HEAD = {"alg": "RS256", "typ": "at+jwt", "kid": KEY_ID}
WHO = "/api/users/me"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


class Identity(FakeRpc):
    """Knows a user and two keys, and counts how often it is asked for them."""

    def __init__(self, **answers):
        self.asked = 0
        super().__init__(get_user={"id": "user-1"}, get_cart=a_cart_answer(), **{"get_jwks": self.keys} | answers)

    async def keys(self, _arguments, _context):
        self.asked += 1
        return {"keys": [public_key(), public_jwk(ES_KEY, key_id="es")]}


@asynccontextmanager
async def an_edge(rpc=None, **options):
    """Gives a function that asks with a token, or with any header, and the parts of the edge.

    For its keys no time passes: who asks identity again after half a minute is right to, on a machine so slow.
    """
    parts = collaborators(rpc or Identity(), **options)
    keys = KeyRing(parts.rpc, algorithms=parts.settings.jwt_algorithms, monotonic=lambda: 0.0)
    parts = replace(parts, keys=keys)
    async with serving(parts) as client:

        async def ask(token=None, *, path=WHO, headers=(), **request):
            bearer = [("Authorization", f"Bearer {token}")] if token is not None else []
            return await client.request(request.pop("method", "GET"), path, headers=[*bearer, *headers], **request)

        ask.parts = parts
        yield ask


def segment(data):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes):
    return jwt.decode(a_token(**changes), options={"verify_signature": False})


def signed(header, payload, key=KEY):
    """Anything at all, under a good signature."""
    body = f"{segment(header)}.{segment(payload)}"
    return f"{body}.{segment(key.sign(body.encode(), padding.PKCS1v15(), SHA256()))}"


def hmac_with(secret):
    body = f"{segment(HEAD | {'alg': 'HS256'})}.{segment(claims())}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{body}.{segment(algorithm.sign(body.encode(), secret))}"


def without_signature(algorithm):
    return f"{segment(HEAD | {'alg': algorithm})}.{segment(claims())}."


def exp_as(text):
    """A payload whose ``exp`` is written just so."""
    whole = claims()
    return signed(HEAD, json.dumps(whole).replace(f'"exp": {whole["exp"]}', f'"exp": {text}').encode())


def public_as(encoding, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return KEY.public_key().public_bytes(encoding, form)


def aged(**seconds):
    """A token whose times lie so many seconds from now."""
    now = int(time.time())
    return a_token(**{name: now + offset for name, offset in seconds.items()})


def refused_as(answer, status=401, code="auth.invalid_token"):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="kirana"')


ROWS = {
    "B1 alg none": lambda: without_signature("none"),
    "B1 alg None": lambda: without_signature("None"),
    "B1 alg nOnE under a signature": lambda: signed(HEAD | {"alg": "nOnE"}, claims()),
    "B1 no signature": lambda: without_signature("RS256"),
    "B2 HMAC with the public key as PEM": lambda: hmac_with(public_as(serialization.Encoding.PEM)),
    "B2 HMAC with the public key as DER": lambda: hmac_with(public_as(serialization.Encoding.DER)),
    "B2 HMAC with the public key as JWK": lambda: hmac_with(json.dumps(public_key()).encode()),
    "B3 a key inside": lambda: signed(HEAD | {"jwk": public_jwk(STRANGER)}, claims(), STRANGER),
    "B5 a path as kid": lambda: signed(HEAD | {"kid": "../../dev/null"}, claims()),
    "B5 SQL as kid": lambda: signed(HEAD | {"kid": "x' UNION SELECT 'key"}, claims()),
    "B5 a long kid": lambda: signed(HEAD | {"kid": "k" * 2000}, claims()),
    "B5 an array as kid": lambda: signed(HEAD | {"kid": [KEY_ID]}, claims()),
    "B5 no kid": lambda: signed({"alg": "RS256", "typ": "at+jwt"}, claims()),
    "B6 expired": lambda: aged(exp=-3600, iat=-7200, nbf=-7200),
    "B6 expired just beyond the leeway": lambda: aged(exp=-11, iat=-900, nbf=-900),
    "B6 exp as text": lambda: exp_as('"9999999999"'),
    "B6 exp as fraction": lambda: exp_as("9999999999.5"),
    "B6 exp as NaN": lambda: exp_as("NaN"),
    "B6 exp as 1e400": lambda: exp_as("1e400"),
    "B6 exp as true": lambda: exp_as("true"),
    "B6 no exp": lambda: a_token(exp=None),
    "B7 nbf in the future": lambda: aged(nbf=60),
    "B7 iat in the future": lambda: aged(iat=60),
    "B8 another audience": lambda: a_token(aud="another"),
    "B8 a list with our audience": lambda: a_token(aud=["kirana-api", "another"]),
    "B8 no audience": lambda: a_token(aud=None),
    "B8 another issuer": lambda: a_token(iss="https://attacker.example"),
    "B9 an id token": lambda: a_token(header={"typ": "JWT"}),
    "B9 a refresh token as JWT": lambda: a_token(header={"typ": "rt+jwt"}),
    "B9 a refresh token": lambda: "krt_fLhYb8nO3rYjBq0wfLhYb8nO3rYjBq0wfLhYb8nO3rY",
    "B10 crit": lambda: signed(HEAD | {"crit": ["x"], "x": 1}, claims()),
    "B10 b64": lambda: signed(HEAD | {"b64": False, "crit": ["b64"]}, claims()),
    "B10 zip": lambda: signed(HEAD | {"zip": "DEF"}, claims()),
    "B10 five parts": lambda: "e30.e30.e30.e30.e30",
    "B11 sub twice": lambda: signed(HEAD, json.dumps(claims())[:-1].encode() + b', "sub": "admin"}'),
    "B11 scope twice": lambda: signed(HEAD, b'{"scope": "edge:admin", ' + json.dumps(claims())[1:].encode()),
    "B12 sub as number": lambda: signed(HEAD, claims() | {"sub": 1}),
    "B12 sub as object": lambda: signed(HEAD, claims() | {"sub": {"id": "user-1"}}),
    "B12 an array as payload": lambda: signed(HEAD, [claims()]),
    "B12 deep JSON": lambda: signed(HEAD, b"[" * 2000),
    "B13 bytes behind the signature": lambda: a_token() + "AAAA",
    "B13 padding": lambda: a_token() + "==",
    "B13 altered padding bits": lambda: respelled(a_token()),
}


def respelled(token):
    """The same bytes, but for the bits of the last character that no byte needs."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


@pytest.fixture(scope="module")
async def ask_one_edge():
    """The same edge for every row: what one leaves behind must not help the next."""
    async with an_edge(rate_scale=100.0) as ask:
        yield ask


@pytest.mark.parametrize("row", ROWS)
async def test_the_row_is_answered_401_where_a_caller_is_needed_and_where_not(row, ask_one_edge):
    rpc = ask_one_edge.parts.rpc
    for path in (WHO, "/api/cart"):
        refused_as(await ask_one_edge(ROWS[row](), path=path))

    assert not rpc.calls
    assert rpc.asked <= 1


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_b4_a_key_is_never_fetched_from_where_the_token_says(header):
    called = []
    server = await asyncio.start_server(lambda _, writer: (called.append(1), writer.close()), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    rpc = Identity()

    async with server, an_edge(rpc) as ask:
        for kid in (KEY_ID, "attacker"):
            refused_as(await ask(signed(HEAD | {header: url, "kid": kid}, claims(), STRANGER)))
        good = await ask(signed(HEAD | {header: url}, claims()))

    assert good.status_code == 200
    assert not called
    assert rpc.asked == 1


async def test_b5_a_thousand_unknown_kids_are_401_and_identity_is_asked_once():
    rpc = Identity()
    body = segment(claims())
    async with an_edge(rpc, rate_scale=100.0) as ask:
        kids = iter(range(1000))

        async def press():
            return {
                (await ask(f"{segment(HEAD | {'kid': f'unknown-{kid}'})}.{body}.eA", path="/api/cart")).status_code
                for kid in kids
            }

        statuses = await asyncio.gather(*(press() for _ in range(8)))

    assert set.union(*statuses) == {401}
    assert rpc.asked == 1


async def test_b5_while_identity_is_away_an_unknown_kid_is_503_and_a_known_one_goes_on_working():
    rpc = Identity()
    async with an_edge(rpc) as ask:
        before = await ask(a_token())
        rpc.answers["get_jwks"] = NotExecuted("away")
        await ask.parts.keys.refresh()

        known, unknown = await ask(a_token()), await ask(a_token(header={"kid": "next"}))

    assert (before.status_code, known.status_code) == (200, 200)
    refused_as(unknown, 503, "service.unavailable")
    assert int(unknown.headers["retry-after"]) >= 1


async def test_b6_a_token_within_the_leeway_is_good():
    async with an_edge() as ask:
        assert (await ask(aged(exp=-5, iat=-900, nbf=-900))).status_code == 200


@pytest.mark.parametrize("size", [10_000, 1_000_000])
async def test_b12_a_token_larger_than_headers_may_be_is_refused_before_it_is_read(size):
    async with an_edge() as ask:
        answer = await ask("x" * size)

    assert answer.status_code == 431


async def test_b13_the_twin_of_an_es256_signature_falls_with_its_session():
    token = a_token(key=ES_KEY, algorithm="ES256", header={"kid": "es"}, sid="ended")
    body, _, signature = token.rpartition(".")
    r, s = utils.decode_dss_signature(
        jwt.utils.raw_to_der_signature(jwt.utils.base64url_decode(signature), ES_KEY.curve)
    )
    der = utils.encode_dss_signature(r, P256_ORDER - s)
    twin = f"{body}.{segment(jwt.utils.der_to_raw_signature(der, ES_KEY.curve))}"

    async with an_edge() as ask:
        rs_only = await ask(token)
    refused_as(rs_only)
    async with an_edge(jwt_algorithms=("RS256", "ES256")) as ask:
        before = [(await ask(each)).status_code for each in (token, twin)]
        ask.parts.revocations.add("ended", int(time.time()) + 900)
        after = [await ask(each) for each in (token, twin)]

    assert before == [200, 200]
    for each in after:
        refused_as(each)


B14 = {
    "logout": lambda sessions: sessions.add("session-1", 2_000_000_000),
    "a password change": lambda sessions: sessions.add_user("user-1", ended_before(int(time.time()) + 1, kept="other")),
    "the end of the account": lambda sessions: sessions.add_user("user-1", ended_before(int(time.time()) + 1)),
}


def ended_before(moment, *, kept=""):
    return RevokedUser(issued_before=moment, kept_session_id=kept, forget_at=moment + 900)


@pytest.mark.parametrize("what", B14)
async def test_b14_a_token_that_was_good_opens_nothing_after(what):
    token = a_token()
    async with an_edge() as ask:
        before = await ask(token)
        B14[what](ask.parts.revocations)
        after = await ask(token)

    assert before.status_code == 200
    refused_as(after)


async def test_b15_a_replayed_refresh_token_is_401_and_the_family_it_ended_opens_nothing():
    refusal = RemoteRefusal(InvalidRefreshToken.code, InvalidRefreshToken.sentence, {})
    access = a_token(sid="family")
    async with an_edge(Identity(refresh_tokens=refusal)) as ask:
        before = await ask(access)
        replayed = await ask(method="POST", path="/api/token/refresh", json={"refresh": "krt_spent"})
        ask.parts.revocations.add("family", int(time.time()) + 900)
        after = await ask(access)

    assert before.status_code == 200
    refused_as(replayed, 401, "identity.invalid_refresh_token")
    refused_as(after)


async def test_b16_a_token_stands_in_one_authorization_header_and_nowhere_else():
    token = a_token()
    twice = [("Authorization", f"Bearer {token}")] * 2
    async with an_edge() as ask:
        refused_as(await ask(path=f"/api/cart?access_token={token}"), 400, "request.invalid")
        refused_as(await ask(headers=twice), 400, "request.malformed")
        refused_as(await ask(f"{token}, Bearer {token}"))
        refused_as(await ask(f"{token},{token}"))
        refused_as(await ask(headers=[("Authorization", f"Basic {token}")]), 401, "auth.required")
        refused_as(await ask(headers=[("Cookie", f"access_token={token}")]), 401, "auth.required")
        lower = await ask(headers=[("authorization", f"bearer {token}")])

    assert lower.status_code == 200


async def test_b17_who_calls_and_what_they_may_is_read_from_the_token_alone():
    claimed = [
        ("X-User-Id", "admin"),
        ("X-Forwarded-User", "admin"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Scopes", "edge:admin"),
        ("nameko.user_id", "admin"),
        ("nameko.auth_token", "admin"),
    ]
    rpc = Identity()
    async with an_edge(rpc) as ask:
        refused_as(await ask(headers=claimed), 401, "auth.required")
        refused_as(await ask(a_token(), path="/admin/routes", headers=claimed), 403, "auth.insufficient_scope")
        refused_as(
            await ask(a_token(), method="PUT", path="/api/cart/items/1", json={"quantity": 1, "user_id": "admin"}),
            400,
            "request.invalid",
        )
        known = await ask(a_token(), headers=claimed)

    assert known.status_code == 200
    [(_, arguments, context)] = rpc.calls
    assert arguments == {"user_id": "user-1"}
    assert "admin" not in repr(context)
