import pytest
import yaml

from tests.builders.gateway import a_gateway
from tests.builders.gateway import a_route as a_passed_route
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

ROUTE = {
    "name": "set_stock", "method": "POST", "path": "/stock/{product_id}", "summary": "Set", "tag": "Stock",
    "call": "identity.register_user", "auth": "none", "limits": None, "idempotency": "accepted",
}  # fmt: skip


def a_table(tmp_path, *routes):
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump({"rates": {}, "routes": list(routes)}))
    return path


REGISTER = ROUTE | {
    "name": "register", "path": "/members",
    "arguments": dict.fromkeys(("username", "password", "password2", "email"), "body"),
    "answer": {"status": 201},
    "transforms": {
        "request": {"json": {"rename": {"login": "username", "secret": "password"}, "drop": ["utm"]}},
        "response": {
            "json": {
                "drop": ["phone_number"], "rename": {"username": "login"},
                "nest": {"name": ["first_name", "last_name"]},
            },
            "headers": {"set": {"X-Served-By": "members"}},
        },
    },
}  # fmt: skip
ANSWER = {
    "id": "u",
    "username": "ann",
    "email": "a@b.example",
    "first_name": "A",
    "last_name": "B",
    "phone_number": "1",
}


async def test_a_call_gets_the_changed_body_and_its_answer_goes_out_changed(tmp_path):
    rpc = FakeRpc(register_user=dict(ANSWER))
    asked = {
        "login": "ann",
        "secret": "correct horse",
        "password2": "correct horse",
        "email": "a@b.example",
        "utm": "x",
    }
    async with serving(collaborators(rpc), a_table(tmp_path, REGISTER)) as client:
        response = await client.post("/members", json=asked)

    ((name, arguments, _),) = rpc.calls
    assert name == "register_user"
    assert arguments == {
        "username": "ann", "password": "correct horse", "password2": "correct horse", "email": "a@b.example",
    }  # fmt: skip
    assert response.status_code == 201
    assert response.json() == {
        "id": "u", "login": "ann", "email": "a@b.example", "name": {"first_name": "A", "last_name": "B"},
    }  # fmt: skip
    assert response.headers["x-served-by"] == "members"
    assert response.headers["content-length"] == str(len(response.content))


async def test_a_problem_stays_a_problem(tmp_path):
    async with serving(collaborators(FakeRpc()), a_table(tmp_path, REGISTER)) as client:
        response = await client.post("/members", json={"login": "ann"})

    assert (response.status_code, response.json()["code"]) == (400, "request.invalid")
    assert "x-served-by" not in response.headers


HIDING = {"transforms": {"response": {"json": {"drop": ["secret"]}}}}
BODY = b'{"name":"a","secret":"s3"}'


async def passed_on(tmp_path, given, *, transforms=None, **options):
    """What becomes of this answer of an HTTP service on a route that hides ``secret``."""

    async def behave(_asked, _reader, writer):
        writer.write(given)
        await writer.drain()
        return True

    route = a_passed_route(**(HIDING if transforms is None else {"transforms": transforms}))
    async with Upstream("a", behave) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        return await edge.client.get("/things/x", **options)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json", "Application/JSON; charset=utf-8", "text/json", "application/vnd.shop+json",
        "application/problem+json", "text/plain", "text/javascript", "application/octet-stream", "nonsense", None,
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 404])
async def test_what_a_route_hides_does_not_come_out_for_its_label(tmp_path, kind, status):
    labels = [] if kind is None else [f"content-type: {kind}"]
    response = await passed_on(tmp_path, answer(BODY, *labels, status=status))

    assert (response.status_code, response.json()) == (status, {"name": "a"})
    assert response.headers["content-type"] == (kind or "application/octet-stream")


@pytest.mark.parametrize(
    "labels",
    [
        ["text/html", "application/json"],
        ["application/json", "text/html"],
        ["text/html", "text/plain"],
        ["text/html, application/json"],
        ["image/png, text/plain"],
    ],
    ids=" and ".join,
)
async def test_one_of_several_labels_is_enough_for_what_a_route_hides_to_be_looked_for(tmp_path, labels):
    response = await passed_on(tmp_path, answer(BODY, *(f"content-type: {label}" for label in labels)))

    assert (response.status_code, response.content) == (200, b'{"name":"a"}')
    assert response.headers.get_list("content-type") == labels


async def test_a_list_of_lists_hides_it_no_better(tmp_path):
    response = await passed_on(tmp_path, answer(b"[[" + BODY + b"]]", "content-type: application/json"))

    assert response.json() == [[{"name": "a"}]]


@pytest.mark.parametrize(
    "given",
    [
        answer(BODY + b"\n" + BODY, "content-type: application/x-ndjson"),
        answer(b"callback(" + BODY + b")", "content-type: text/javascript"),
        answer(BODY[:-1]),
        answer(BODY, "content-type: text/plain", "content-encoding: br"),
        answer(b"packed", "content-type: text/plain", "content-encoding: identity", "content-encoding: br"),
        answer(b'"s3"', "content-type: application/json", "content-range: bytes 21-24/26", status=206),
        answer(b"s3", "content-type: text/plain", "content-range: bytes 22-23/26", status=206),
        answer(b"--x\r\n\r\n" + BODY + b"\r\n--x--", "content-type: multipart/byteranges; boundary=x", status=206),
        answer(b"not even", "content-type: application/json"),
    ],
    ids=["lines", "script", "cut", "packed", "packed-twice-told", "part", "part-of-text", "parts", "no-json"],
)
async def test_what_may_hold_it_and_cannot_be_read_is_an_answer_of_no_use(tmp_path, given):
    response = await passed_on(tmp_path, given)

    assert (response.status_code, response.json()["code"]) == (502, "upstream.unusable")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<p>{secret}</p>", "text/html; charset=utf-8"),
        (b"\x89PNG{", "image/png"),
        (b"<svg>{}</svg>", "image/svg+xml"),
        (b"<a>{</a>", "application/atom+xml"),
        (b"data: {}\n\n", "text/event-stream"),
        (b"404 page not found\n", "text/plain"),
        (b"", "text/plain"),
    ],
)
async def test_what_is_surely_no_json_passes_as_it_is(tmp_path, body, kind):
    response = await passed_on(tmp_path, answer(body, f"content-type: {kind}", status=404))

    assert (response.status_code, response.content, response.headers["content-type"]) == (404, body, kind)


def a_head(*fields):
    """How a service answers that tells a HEAD of the 26 bytes that a GET would bring."""

    async def behave(_asked, _reader, writer):
        writer.write("\r\n".join(["HTTP/1.1 200 OK", "content-length: 26", *fields, "", ""]).encode())
        await writer.drain()
        return True

    return behave


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_head_is_not_told_the_length_of_what_would_be_changed(tmp_path, kind):
    behave = a_head(f"content-type: {kind}", 'etag: "a"')
    async with Upstream("a", behave) as one, a_gateway(tmp_path, a_passed_route(**HIDING)) as edge:
        edge.there_are(one)
        answers = [await edge.client.head("/things/x") for _ in range(2)]

    assert [(each.status_code, each.content) for each in answers] == [(200, b"")] * 2
    assert ["content-length" in each.headers for each in answers] == [False] * 2
    assert answers[0].headers["etag"].startswith('"a-kirana-')
    assert [asked.method for asked in one.asked] == ["HEAD"] * 2
    assert one.made == 1


async def test_a_head_is_told_the_length_of_what_would_not_be_changed(tmp_path):
    behave = a_head("content-type: image/png")
    async with Upstream("a", behave) as one, a_gateway(tmp_path, a_passed_route(**HIDING)) as edge:
        edge.there_are(one)
        response = await edge.client.head("/things/x")

    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "26")


async def test_where_nothing_is_hidden_the_label_is_believed(tmp_path):
    changes = {"response": {"json": {"set": {"seen": True}}}}
    told = await passed_on(tmp_path, answer(BODY, "content-type: text/json"), transforms=changes)
    untold = await passed_on(tmp_path, answer(BODY + BODY, "content-type: text/plain"), transforms=changes)
    both = await passed_on(
        tmp_path, answer(BODY, "content-type: text/html", "content-type: text/json"), transforms=changes
    )

    assert told.json() == both.json() == {"name": "a", "secret": "s3", "seen": True}
    assert untold.content == BODY + BODY


EXACT = b'{"n": 123456789012345678901234567890, "amount": [12345678901234567.89, 1.10], "small": 7}'
BEYOND = b'{"n": 1E400, "small": 7}'


async def test_a_number_goes_to_the_service_as_it_is_written(tmp_path):
    route = a_passed_route(
        method="POST", idempotency="accepted", transforms={"request": {"json": {"rename": {"n": "big"}}}}
    )
    async with Upstream("a") as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        await edge.client.post("/things/x", content=EXACT, headers={"content-type": "application/json"})

    assert one.asked[0].body == EXACT.replace(b'"n"', b'"big"').replace(b" ", b"")


@pytest.mark.parametrize("changes", [{"drop": ["small"]}, {"rename": {"n": "big"}}, {"set": {"seen": True}}])
async def test_a_number_of_an_answer_comes_out_as_it_is_written(tmp_path, changes):
    response = await passed_on(
        tmp_path, answer(EXACT, "content-type: application/json"), transforms={"response": {"json": changes}}
    )

    assert b':123456789012345678901234567890,"amount":[12345678901234567.89,1.10]' in response.content


async def test_a_number_that_no_float_holds_is_one_too(tmp_path):
    response = await passed_on(
        tmp_path, answer(BEYOND, "content-type: application/json"),
        transforms={"response": {"json": {"drop": ["small"]}}},
    )  # fmt: skip

    assert (response.status_code, response.content) == (200, b'{"n":1E400}')


@pytest.mark.parametrize("depth", [300, 1000, 5000])
@pytest.mark.parametrize("number", [b"1.10", b"1e400"])
async def test_what_lies_too_deep_to_be_changed_is_an_answer_of_no_use(tmp_path, depth, number):
    deep = b'{"a":' * depth + number + b"}" * depth

    response = await passed_on(tmp_path, answer(deep, "content-type: application/json"))

    assert (response.status_code, response.json()["code"]) == (502, "upstream.unusable")


async def test_the_edges_own_problems_stay_as_they_are(tmp_path):
    changes = {"response": {"json": {"drop": ["detail", "code"]}}}
    async with a_gateway(tmp_path, a_passed_route(transforms=changes)) as edge:
        response = await edge.client.get("/things/x")

    assert (response.status_code, response.json()["code"]) == (503, "service.unavailable")
    assert response.json()["detail"]
