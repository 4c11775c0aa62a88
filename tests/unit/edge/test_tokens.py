import asyncio
import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from edge.claims import caller_named_by, decoded
from edge.keys import KeyRing, NoKeys
from edge.revocations import EndedSessions
from edge.tokens import BadToken, Verifier
from edge.verdicts import Verdict, Verdicts
from shared.contracts.identity import RevokedUser
from shared.metrics.counting import registry
from tests.builders.keys import a_private_key, public_jwk
from tests.builders.waiting import eventually_async
from tests.fakes.edge import KEY, FakeRedis, FakeRpc, a_token, none_ended, public_key

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


def a_verifier(**options):
    """Judges by the keys of a fake identity; options say what differs."""
    keys = options.pop("keys", None) or KeyRing(FakeRpc())
    terms = {"issuer": "kirana", "audience": "kirana-api", "now": time.time, "secret": "s" * 32} | options
    return Verifier(keys=keys, revocations=terms.pop("revocations", None) or none_ended(), **terms)


def verify(token, verifier=None):
    return asyncio.run((verifier or a_verifier()).verify(token))


def test_a_good_token_speaks_for_its_user():
    caller = verify(a_token(scope="catalog:write edge:admin"))

    assert (caller.user_id, caller.session_id) == ("user-1", "session-1")
    assert caller.scopes == {"catalog:write", "edge:admin"}


def test_a_token_whose_subject_is_the_client_itself_speaks_for_no_person():
    partner = {"sub": "partner", "client_id": "partner"}

    assert verify(a_token(**partner)).is_client
    assert not verify(a_token()).is_client
    assert not verify(a_token(client_id="partner")).is_client


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
    "not yet valid": a_token(nbf=NOW + 86_400, exp=NOW + 90_000),
    "issued in the future": a_token(iat=NOW + 86_400, exp=NOW + 90_000),
    "text as expiry": signed_by_hand(HEAD, claims() | {"exp": str(NOW + 600)}),
    "fraction as expiry": signed_by_hand(HEAD, claims() | {"exp": NOW + 600.5}),
    "truth as expiry": signed_by_hand(HEAD, claims() | {"exp": True}),
    "not a number as expiry": signed_by_hand(
        HEAD, json.dumps(claims(exp=NOW + 900)).replace(str(NOW + 900), "NaN").encode()
    ),
    "expiry beyond all times": signed_by_hand(HEAD, claims() | {"exp": 10**30}),
    "negative issue": signed_by_hand(HEAD, claims() | {"iat": -1}),
    "infinite expiry": signed_by_hand(
        HEAD, json.dumps(claims(exp=NOW + 900)).replace(str(NOW + 900), "1e400").encode()
    ),
    "wrong audience": a_token(aud="another"),
    "list of audiences": a_token(aud=["kirana-api", "another"]),
    "wrong issuer": a_token(iss="another"),
    "number as subject": signed_by_hand(HEAD, claims() | {"sub": 1}),
    "empty session": a_token(sid=""),
    "a list as client": a_token(client_id=["user-1"]),
    "object as subject": signed_by_hand(HEAD, claims() | {"sub": {"id": "user-1"}}),
    "control characters as subject": a_token(sub="user-1\r\nadmin: yes"),
    "list as scope": a_token(scope=["edge:admin"]),
    "a claim twice": signed_by_hand(HEAD, json.dumps(claims())[:-1].encode() + b', "sub": "admin"}'),
    "a header member twice": signed_by_hand(b'{"alg":"RS256","typ":"at+jwt","kid":"x","kid":"current"}', claims()),
    "a list as payload": signed_by_hand(HEAD, ["sub"]),
    "deep payload": signed_by_hand(HEAD, b"[" * 1500),
    "not JSON": signed_by_hand(HEAD, b"\xff\x00"),
    "five parts": "a.b.c.d.e",
    "garbage": "garbage",
    "padding": a_token() + "=",
    "bytes behind the signature": a_token() + "AAAA",
    "a member twice further in": signed_by_hand(HEAD, json.dumps(claims())[:-1].encode() + b', "x": {"a": 1, "a": 2}}'),
    "an algorithm of the same key that is not listed": a_token(algorithm="RS512"),
    "enormous": a_token(note="x" * 4096),
    **{f"no {name}": a_token(**{name: None}) for name in ("exp", "iat", "nbf", "sub", "iss", "aud", "jti", "sid")},
}


@pytest.mark.parametrize("name", FORGED)
def test_no_other_token_opens_anything(name):
    with pytest.raises(BadToken):
        verify(FORGED[name])


def respelled(token):
    """The same signature, written so that only the last character's unused bits differ."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_has_no_second_spelling(algorithm):
    key = a_private_key(algorithm)
    token = a_token(key=key, algorithm=algorithm)
    ring = KeyRing(FakeRpc(get_jwks={"keys": [public_jwk(key, key_id="current")]}), algorithms=(algorithm,))

    assert verify(token, a_verifier(keys=ring)).user_id == "user-1"
    with pytest.raises(BadToken):
        verify(respelled(token), a_verifier(keys=ring))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_listed_algorithm_is_taken_and_no_other(algorithm):
    key = a_private_key(algorithm)
    token = a_token(key=key, algorithm=algorithm)
    rpc = FakeRpc(get_jwks={"keys": [public_jwk(key, key_id="current"), public_key(key_id="another")]})

    assert verify(token, a_verifier(keys=KeyRing(rpc, algorithms=("RS256", algorithm)))).user_id == "user-1"
    with pytest.raises(BadToken):
        verify(token, a_verifier(keys=KeyRing(rpc, algorithms=tuple({"RS256", "ES256", "EdDSA"} - {algorithm}))))


def test_a_token_must_name_the_algorithm_of_the_key_that_it_names():
    rpc = FakeRpc(get_jwks={"keys": [public_key()]})
    token = a_token(key=a_private_key("ES256"), algorithm="ES256")

    with pytest.raises(BadToken):
        verify(token, a_verifier(keys=KeyRing(rpc, algorithms=("RS256", "ES256"))))


@pytest.mark.parametrize(("moment", "is_good"), [("exp", True), ("late", False), ("iat", True), ("early", False)])
def test_clocks_may_differ_by_less_than_ten_seconds(moment, is_good):
    token = signed_by_hand(HEAD, claims() | {"iat": NOW, "nbf": NOW, "exp": NOW + 60})
    at = {"exp": NOW + 60 + 9.9, "late": NOW + 60 + 10, "iat": NOW - 10, "early": NOW - 10.1}[moment]

    if is_good:
        caller_named_by(decoded(token.split(".")[1]), at)
        return
    with pytest.raises(BadToken):
        caller_named_by(decoded(token.split(".")[1]), at)


def judging(*tokens, **options):
    """A verifier that has judged these already."""
    verifier = a_verifier(**options)
    for token in tokens:
        verify(token, verifier)
    return verifier


def test_a_token_is_judged_once_and_then_known_without_waiting():
    token = a_token(scope="catalog:write")
    verifier = a_verifier()

    assert verifier.known(token) is None
    caller = verify(token, verifier)

    assert verifier.known(token) is caller
    assert verify(token, verifier) is caller


def test_what_was_found_bad_is_not_known():
    verifier = a_verifier()
    with pytest.raises(BadToken):
        verify(a_token(key=STRANGER), verifier)

    assert verifier.known(a_token(key=STRANGER)) is None
    assert verifier.known("x" * 100_000) is None
    assert verifier.known("ü.ü.ü") is None


def test_a_known_token_is_unknown_when_it_expires_and_refused_ten_seconds_later():
    now = [time.time()]
    token = a_token()
    verifier = judging(token, now=lambda: now[0])

    now[0] += 900
    assert verifier.known(token) is None
    now[0] += 11
    with pytest.raises(BadToken):
        verify(token, verifier)


def test_a_verdict_is_not_kept_for_longer_than_five_minutes():
    now = [time.time()]
    token = a_token()
    verifier = judging(token, now=lambda: now[0])

    now[0] += 299
    assert verifier.known(token) is not None
    now[0] += 2

    assert verifier.known(token) is None
    assert verify(token, verifier).user_id == "user-1"


def test_the_least_recently_used_verdict_is_forgotten_first():
    one, two, three = (Verdict(caller, None, 0.0) for caller in "123")
    verdicts = Verdicts(limit=2)
    verdicts.put(b"1", one)
    verdicts.put(b"2", two)

    assert verdicts.get(b"1") is one
    verdicts.put(b"3", three)

    assert (verdicts.get(b"1"), verdicts.get(b"2"), verdicts.get(b"3")) == (one, None, three)


def test_a_known_token_opens_nothing_once_its_session_ended():
    sessions, token = none_ended(), a_token(sid="ended")
    verifier = judging(token, revocations=sessions)

    sessions.add("ended", NOW + 900)

    assert verifier.known(token) is None
    with pytest.raises(BadToken):
        verify(token, verifier)


def test_all_earlier_tokens_of_a_user_end_together_but_for_the_session_that_is_kept():
    earlier, kept, later, other = (
        a_token(sid="one", iat=NOW - 60),
        a_token(sid="kept", iat=NOW - 60),
        a_token(sid="new", iat=NOW),
        a_token(sub="user-2", iat=NOW - 60),
    )
    sessions = none_ended()
    verifier = judging(earlier, kept, later, other, revocations=sessions)

    sessions.add_user("user-1", RevokedUser(issued_before=NOW, kept_session_id="kept", forget_at=NOW + 900))

    assert [verifier.known(each) is not None for each in (earlier, kept, later, other)] == [False, True, True, True]


def test_what_a_withdrawn_key_signed_opens_nothing_though_it_was_found_good_before():
    ring = KeyRing(FakeRpc(get_jwks={"keys": [public_key(), public_key(a_private_key("RS256"), "next")]}))
    token = a_token()
    verifier = judging(token, keys=ring)
    ring._rpc.answers["get_jwks"]["keys"].pop(0)

    asyncio.run(ring.turned(["next"]))

    assert verifier.known(token) is None
    with pytest.raises(BadToken):
        verify(token, verifier)


def test_no_token_is_judged_while_it_is_not_known_whose_sessions_ended():
    token = a_token()
    verifier = a_verifier(revocations=EndedSessions())

    with pytest.raises(NoKeys):
        verify(token, verifier)
    assert verifier.known(token) is None


def test_another_worker_need_not_check_the_signature_again():
    redis, token = FakeRedis(), a_token()

    async def on_two_workers():
        first, second = (a_verifier(redis=redis) for _ in range(2))
        found = await first.verify(token)
        await eventually_async(lambda: redis.values)
        before = counted("shared")
        return found, await second.verify(token), counted("shared") - before

    one, other, shared = asyncio.run(on_two_workers())
    assert (one, shared) == (other, 1)
    assert token.encode() not in b"".join(redis.values.values())
    assert not [name for name in redis.values if token in name or token.rpartition(".")[2] in name]


FORGERIES = {
    "nothing": b"",
    "a text": b"yes",
    "zeros": b"\0" * 32,
    "a number": 1,
    "a text of another type": "yes",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_others_write_into_redis_opens_nothing(name):
    token = a_token(key=STRANGER)
    redis = FakeRedis()
    redis.get = answering(FORGERIES[name])

    with pytest.raises(BadToken):
        verify(token, a_verifier(redis=redis))
    assert verify(a_token(), a_verifier(redis=redis)).user_id == "user-1"


def test_one_tokens_seal_opens_no_other_nor_does_one_of_another_secret_or_terms():
    good, bad = a_token(), a_token(key=STRANGER)
    redis = FakeRedis()

    async def written(token, **options):
        await a_verifier(redis=redis, **options).verify(token)
        await eventually_async(lambda: redis.values)
        return redis.values.popitem()[1]

    seals = [
        asyncio.run(written(good)),
        asyncio.run(written(a_token(aud="another"), audience="another")),
        asyncio.run(written(good, secret="t" * 32)),
    ]

    for seal in seals:
        redis.get = answering(seal)
        with pytest.raises(BadToken):
            verify(bad, a_verifier(redis=redis))
    before = counted("forged")
    verify(good, a_verifier(redis=redis))
    assert counted("forged") == before + 1


def test_without_redis_tokens_are_judged_all_the_same_and_it_is_left_alone_for_a_second():
    redis = FakeRedis()
    redis.fault = OSError("away")
    asked = []
    redis.get = lambda name: asked.append(name) or FakeRedis.get(redis, name)
    verifier = a_verifier(redis=redis)
    seconds = 10.0
    verifier._shared._monotonic = lambda: seconds  # or the second would be over before a busy machine is done

    callers = [verify(a_token(), verifier).user_id for _ in range(20)]
    asked_at_first = len(asked)
    seconds += 1.0
    verify(a_token(), verifier)

    assert callers == ["user-1"] * 20
    assert (asked_at_first, len(asked)) == (1, 2)


def answering(value):
    async def get(_name):
        return value

    return get


def counted(source):
    return registry.get_sample_value("kirana_edge_token_verdicts_total", {"source": source})
