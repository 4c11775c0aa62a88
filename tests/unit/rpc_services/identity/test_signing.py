import jwt
import pytest
from jwt.algorithms import RSAAlgorithm

from rpc_services.identity.signing import KeyCabinet, KeySigner, WrongPassphrase

CLAIMS = {"sub": "anna", "scope": ""}


@pytest.fixture(scope="module")
def cabinet():
    return KeyCabinet("a passphrase for tests")


@pytest.fixture(scope="module")
def key(cabinet):
    return cabinet.new_key()


def test_what_is_signed_is_verified_with_the_published_key(cabinet, key):
    token = KeySigner(cabinet, key).sign(CLAIMS)

    assert jwt.decode(token, RSAAlgorithm.from_jwk(key.public_jwk), algorithms=["RS256"]) == CLAIMS
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "at+jwt", "kid": key.kid}


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [("ES256", {"kty", "crv", "x", "y", "kid", "use", "alg"}), ("EdDSA", {"kty", "crv", "x", "kid", "use", "alg"})],
    ids=["ES256", "EdDSA"],
)
def test_a_key_of_another_algorithm_is_sealed_opened_and_verified_just_so(cabinet, algorithm, members):
    key = cabinet.new_key(algorithm)

    token = KeySigner(KeyCabinet("a passphrase for tests"), key).sign(CLAIMS)

    assert key.public_jwk.keys() == members
    assert jwt.decode(token, jwt.PyJWK(key.public_jwk).key, algorithms=[algorithm]) == CLAIMS
    assert jwt.get_unverified_header(token)["alg"] == algorithm


def test_the_same_claims_give_the_same_token(cabinet, key):
    assert KeySigner(cabinet, key).sign(CLAIMS) == KeySigner(cabinet, key).sign(CLAIMS)


def test_what_is_published_holds_nothing_private(key):
    assert key.public_jwk.keys() == {"kty", "n", "e", "kid", "use", "alg"}


def test_another_process_with_the_passphrase_signs_the_same(cabinet, key):
    another = KeyCabinet("a passphrase for tests")

    assert KeySigner(another, key).sign(CLAIMS) == KeySigner(cabinet, key).sign(CLAIMS)


def test_the_stored_key_is_sealed_and_another_passphrase_does_not_open_it(key):
    assert b"ENCRYPTED" in key.sealed_private_pem
    with pytest.raises(WrongPassphrase):
        KeyCabinet("another passphrase").opened(key)
    assert b"PRIVATE" not in repr(key).encode()
