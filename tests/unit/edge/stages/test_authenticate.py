import time

import pytest

from edge.rpc.failures import NotExecuted
from tests.builders.answers import a_cart_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
USER = {"id": "user-1"}


async def asking(path="/api/users/me", *, parts=None, headers=None):
    rpc = FakeRpc(get_user=USER, get_cart=a_cart_answer())
    parts = parts or collaborators(rpc)
    async with serving(parts) as client:
        return await client.get(path, headers=headers)


async def test_a_good_token_is_known_whatever_the_case_of_its_scheme():
    answer = await asking(headers={"Authorization": f"bEARER {a_token()}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/users/me", "/api/cart"])
@pytest.mark.parametrize("token", ["Bearer garbage", "Basic dTpw", "Bearer", f"Bearer {a_token(exp=1)}", "Bearer ü"])
async def test_a_bad_token_is_a_401_even_where_none_is_needed(path, token):
    answer = await asking(path, headers={"Authorization": token.encode()})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_token_is_a_401_where_one_is_needed_and_a_guest_where_not():
    refused = await asking()

    assert (refused.status_code, refused.json()["code"]) == (401, "auth.required")
    assert (await asking("/api/cart")).status_code == 200


async def test_two_tokens_are_refused():
    headers = [("Authorization", f"Bearer {a_token()}"), ("Authorization", f"Bearer {a_token()}")]

    assert (await asking(headers=headers)).status_code == 400


async def test_a_token_in_the_query_is_an_unknown_parameter():
    answer = await asking(f"/api/cart?access_token={a_token()}")

    assert answer.status_code == 400


async def test_a_session_that_ended_opens_nothing_though_its_token_was_good_before():
    parts = collaborators(FakeRpc(get_user=USER))
    headers = {"Authorization": f"Bearer {a_token(sid='ended')}"}
    before = await asking(parts=parts, headers=headers)
    parts.revocations.add("ended", int(time.time()) + 900)

    after = await asking(parts=parts, headers=headers)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_while_no_key_is_known_a_token_is_neither_good_nor_bad():
    parts = collaborators(FakeRpc(get_jwks=NotExecuted("away")))

    answer = await asking(parts=parts, headers={"Authorization": f"Bearer {a_token()}"})

    assert answer.status_code == 503


async def test_identity_headers_of_the_client_mean_nothing():
    answer = await asking(headers={"X-User-Id": "user-1", "nameko.user_id": "user-1"})

    assert answer.status_code == 401
