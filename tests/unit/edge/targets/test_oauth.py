import base64

import pytest

from edge.rpc.failures import NotExecuted, RemoteRefusal
from tests.builders.answers import a_token_answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
GRANTED = {"access": "a.b.c", "expires_in": 900, "scope": "catalog:write"}
CLIENT = {"client_id": "client-1", "client_secret": "kcs_1"}


def basic(name="client-1", secret="kcs_1"):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


async def asking(form, headers=None, settings=None, **answers):
    rpc = FakeRpc(**({"grant_client_token": GRANTED, "refresh_tokens": a_token_answer()} | answers))
    async with serving(collaborators(rpc, **(settings or {}))) as client:
        return await client.post("/oauth/token", data=form, headers=headers), rpc.calls


def is_refused(answer, error, status=400):
    return (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("way", ["header", "form"])
async def test_a_client_that_proves_itself_is_granted_a_token_that_nobody_may_keep(way):
    form = {"grant_type": "client_credentials", "scope": "catalog:write"}
    answer, calls = await (asking(form, basic()) if way == "header" else asking(form | CLIENT))

    assert answer.json() == {
        "access_token": "a.b.c",
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "catalog:write",
    }
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert [(name, arguments) for name, arguments, _ in calls] == [
        ("grant_client_token", CLIENT | {"scope": "catalog:write"})
    ]


async def test_the_id_and_the_secret_in_a_header_are_encoded_as_in_a_form():
    _, calls = await asking({"grant_type": "client_credentials"}, basic("client%3A1", "a+b%25"))

    assert calls[0][1] == {"client_id": "client:1", "client_secret": "a b%", "scope": None}


async def test_a_refresh_token_is_exchanged_for_whoever_holds_it():
    pair = a_token_answer()
    answer, calls = await asking({"grant_type": "refresh_token", "refresh_token": "krt_1"})

    assert (answer.json()["access_token"], answer.json()["refresh_token"]) == (pair["access"], pair["refresh"])
    assert calls[0][1] == {"refresh": "krt_1", "scope": None}


async def test_a_client_that_says_who_it_is_when_it_refreshes_must_prove_it():
    _, calls = await asking({"grant_type": "refresh_token", "refresh_token": "krt_1"}, basic())

    assert calls[0][1] == {"refresh": "krt_1", "scope": None} | CLIENT


@pytest.mark.parametrize(
    ("form", "headers", "error", "status"),
    [
        ({}, {}, "invalid_request", 400),
        ({"grant_type": "password"}, {}, "unsupported_grant_type", 400),
        ({"grant_type": ["refresh_token", "refresh_token"]}, {}, "invalid_request", 400),
        ({"grant_type": "refresh_token"}, {}, "invalid_request", 400),
        ({"grant_type": "client_credentials"}, {}, "invalid_client", 401),
        ({"grant_type": "client_credentials"} | CLIENT, basic(), "invalid_request", 400),
        ({"grant_type": "client_credentials", "client_id": "other"}, basic(), "invalid_request", 400),
        ({"grant_type": "client_credentials"}, {"Authorization": "Bearer a.b.c"}, "invalid_client", 401),
        ({"grant_type": "client_credentials"}, {"Authorization": "Basic !!!"}, "invalid_client", 401),
        ({"grant_type": "client_credentials"}, {"Authorization": "Basic bm8gY29sb24="}, "invalid_client", 401),
        ({"grant_type": "client_credentials"}, basic("%ff"), "invalid_client", 401),
    ],
    ids=[
        "nothing", "another grant", "a field twice", "no refresh token", "no client", "two ways to authenticate",
        "two clients", "a bearer token", "no base64", "no colon", "no text",
    ],
)  # fmt: skip
async def test_what_the_rfc_refuses_is_refused_in_its_words_and_reaches_no_service(form, headers, error, status):
    answer, calls = await asking(form, headers)

    assert is_refused(answer, error, status)
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert not calls


@pytest.mark.parametrize(
    ("code", "error", "status"),
    [
        ("identity.invalid_client", "invalid_client", 401),
        ("identity.invalid_scope", "invalid_scope", 400),
        ("request.invalid", "invalid_request", 400),
    ],
)
async def test_what_identity_refuses_a_client_is_told_in_the_words_of_the_rfc(code, error, status):
    refusal = RemoteRefusal(code, "No.", {})
    answer, _ = await asking({"grant_type": "client_credentials"} | CLIENT, grant_client_token=refusal)

    assert is_refused(answer, error, status)
    assert answer.headers["content-type"] == "application/json"


async def test_a_refresh_token_that_is_worth_nothing_is_an_invalid_grant():
    refusal = RemoteRefusal("identity.invalid_refresh_token", "No.", {})
    answer, _ = await asking({"grant_type": "refresh_token", "refresh_token": "krt_1"}, refresh_tokens=refusal)

    assert is_refused(answer, "invalid_grant")


async def test_that_identity_is_away_is_told_as_everywhere():
    answer, _ = await asking({"grant_type": "client_credentials"} | CLIENT, grant_client_token=NotExecuted("away"))

    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")


async def test_only_a_form_is_taken_here_and_forms_nowhere_else():
    async with serving(collaborators()) as client:
        json = await client.post("/oauth/token", json={"grant_type": "client_credentials"})
        form = await client.post("/api/token", data={"username": "a", "password": "b"})

    assert (json.status_code, form.status_code) == (415, 415)


async def test_nothing_is_taken_from_the_address():
    form = {"grant_type": "client_credentials"} | CLIENT
    async with serving(collaborators()) as client:
        granting = await client.post("/oauth/token?client_secret=hunter2", data=form)
        metadata = await client.get("/.well-known/oauth-authorization-server?typo=1")

    assert is_refused(granting, "invalid_request")
    assert "hunter2" not in granting.text
    assert (metadata.status_code, metadata.json()["errors"][0]["pointer"]) == (400, "/typo")


async def test_the_metadata_names_the_issuer_of_the_tokens_and_where_everything_is():
    settings = {"jwt_issuer": "https://shop.example", "public_url": "https://shop.example"}
    async with serving(collaborators(**settings)) as client:
        answer = await client.get("/.well-known/oauth-authorization-server", headers={"Host": "evil.example"})

    told = answer.json()
    assert told["issuer"] == "https://shop.example"
    assert told["token_endpoint"] == "https://shop.example/oauth/token"
    assert told["jwks_uri"] == "https://shop.example/.well-known/jwks.json"
    assert told["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert "evil" not in answer.text
    assert "max-age" in answer.headers["cache-control"]


async def test_the_description_says_that_the_token_endpoint_takes_a_form_and_answers_as_oauth_does():
    async with serving(collaborators()) as client:
        described = (await client.get("/openapi.json")).json()["paths"]["/oauth/token"]["post"]

    assert list(described["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert all("application/json" in described["responses"][status]["content"] for status in ("400", "401"))
