import pytest

from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
USER = {"id": "u", "username": "name"}
BODY = b'{"username": "name", "password": "p", "password2": "p", "email": "a@b.c"}'


async def posting(content, **headers):
    rpc = FakeRpc(register_user=USER)
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/users", content=content, headers=headers)
    assert (answer.status_code == 201) == bool(rpc.calls)
    return answer


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_in_utf_8_is_taken(kind):
    assert (await posting(BODY, **{"Content-Type": kind})).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/jsonp"},
        JSON | {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_anything_else_is_a_415(headers):
    assert (await posting(BODY, **headers)).json()["code"] == "request.media_type"


@pytest.mark.parametrize("size", [16_385, 3_000_000])
async def test_a_body_over_the_limit_is_a_413(size):
    assert (await posting(b" " * size, **JSON)).json()["code"] == "request.too_large"


async def test_a_body_of_unknown_length_is_a_411():
    async def chunks():
        yield BODY

    assert (await posting(chunks(), **JSON)).status_code == 411


async def test_a_body_that_is_no_json_is_a_400_that_says_where():
    answer = await posting(b'{"username": }', **JSON)

    assert answer.json()["code"] == "request.malformed"
    assert "byte" in answer.json()["detail"]


async def test_an_absent_body_is_an_empty_object():
    assert {one["pointer"] for one in (await posting(b"")).json()["errors"]} == {
        "/username",
        "/password",
        "/password2",
        "/email",
    }


async def test_a_route_without_a_body_takes_an_empty_one_and_refuses_fields():
    rpc = FakeRpc(cancel_order={"id": "o", "version": 1})
    headers = {"Authorization": f"Bearer {a_token()}"}
    async with serving(collaborators(rpc)) as client:
        empty = await client.post("/api/orders/o/cancel", json={}, headers=headers)
        reason = await client.post("/api/orders/o/cancel", json={"reason": "r"}, headers=headers)

    assert empty.status_code == 200
    assert reason.json()["errors"] == [{"pointer": "/reason", "detail": "This field is not known here."}]
