import pytest

from tests.builders.raw_http import HOST, said
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
