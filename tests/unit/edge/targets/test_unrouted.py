import pytest

from tests.builders.raw_http import HOST, request, said
from tests.builders.tables import a_page, table_text
from tests.fakes.edge import collaborators, serving

pytestmark = pytest.mark.anyio


async def test_options_lists_the_methods_and_reads_past_a_body_without_a_word_in_the_logs(caplog):
    async with serving(collaborators()) as client:
        answers = [await client.request("OPTIONS", "/api/products", content=b"{}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert answers[0].headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert "body not consumed" not in caplog.text


async def test_the_body_of_a_question_about_methods_has_an_end():
    sent = b"OPTIONS /api/products HTTP/1.1\r\n" + HOST + b"\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 100_000
    async with serving(collaborators()) as client:
        heard = await said(client.base_url.port, sent)

    assert heard.statuses == [413]
    assert heard.ended
    assert heard.problem["code"] == "request.too_large"


def limited(tmp_path, **words):
    rates = {"few": {"quota": 3, "window": 60}}
    table = table_text(a_page("openapi", path="/openapi.json", limits={"address": "few"}), rates=rates)
    (tmp_path / "routes.yaml").write_text(table + "".join(f"{name}: {value}\n" for name, value in words.items()))
    return tmp_path / "routes.yaml"


async def test_who_tries_what_does_not_exist_is_counted_like_whoever_reads(tmp_path):
    async with serving(collaborators(), limited(tmp_path, unrouted="few")) as client:
        wrong = await client.get("/nothing/here")
        other = await client.delete("/openapi.json")
        read = await client.get("/openapi.json")
        refused = [await client.get("/nothing/there"), await client.delete("/openapi.json")]

    assert (wrong.status_code, other.status_code, read.status_code) == (404, 405, 200)
    assert wrong.headers["ratelimit"].startswith('"few-address";r=2;')
    assert [answer.status_code for answer in refused] == [429, 429]
    assert "retry-after" in refused[0].headers


async def test_who_asks_for_methods_is_counted_like_whoever_reads(tmp_path):
    async with serving(collaborators(), limited(tmp_path, unrouted="few")) as client:
        known = await client.options("/openapi.json")
        unknown = await client.options("/nothing/here")
        everything = await said(client.base_url.port, request(b"*", b"Connection: close", method=b"OPTIONS"))
        refused = [await client.options("/openapi.json"), await client.options("/nothing/here")]

    assert (known.status_code, unknown.status_code, everything.statuses) == (204, 404, [204])
    assert known.headers["ratelimit"].startswith('"few-address";r=2;')
    assert [answer.status_code for answer in refused] == [429, 429]


PREFLIGHT = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}


async def test_a_preflight_of_a_page_that_may_call_us_is_not_counted(tmp_path):
    parts = collaborators(cors_origins=("https://shop.example",))
    async with serving(parts, limited(tmp_path, unrouted="few")) as client:
        asked = [await client.options("/openapi.json", headers=PREFLIGHT) for _ in range(10)]
        read = await client.get("/openapi.json")

    assert {answer.status_code for answer in asked} == {204}
    assert "access-control-allow-methods" in asked[-1].headers
    assert read.status_code == 200


@pytest.mark.parametrize(
    ("path", "changed", "body"),
    [
        ("/nothing/here", {}, b""),
        ("/openapi.json", {"Origin": "https://other.example"}, b""),
        ("/openapi.json", {"Access-Control-Request-Method": None}, b""),
        ("/openapi.json", {"Origin": None}, b""),
        ("/openapi.json", {}, b"{}"),
    ],
    ids=["unknown path", "foreign origin", "no method", "no origin", "body"],
)
async def test_what_only_looks_like_a_preflight_is_counted(tmp_path, path, changed, body):
    headers = {name: value for name, value in (PREFLIGHT | changed).items() if value is not None}
    parts = collaborators(cors_origins=("https://shop.example",))
    async with serving(parts, limited(tmp_path, unrouted="few")) as client:
        asked = [(await client.request("OPTIONS", path, headers=headers, content=body)).status_code for _ in range(5)]

    assert asked[3:] == [429, 429]
    assert 429 not in asked[:3]


async def test_a_table_that_says_nothing_of_them_does_not_count_them(tmp_path):
    async with serving(collaborators(), limited(tmp_path)) as client:
        statuses = {(await client.get("/nothing/here")).status_code for _ in range(10)}

    assert statuses == {404}
