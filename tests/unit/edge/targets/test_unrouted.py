import pytest

from tests.fakes.edge import collaborators, serving

pytestmark = pytest.mark.anyio


async def test_options_lists_the_methods_and_reads_past_a_body_without_a_word_in_the_logs(caplog):
    async with serving(collaborators()) as client:
        answers = [await client.request("OPTIONS", "/api/products", content=b"{}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert answers[0].headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert "body not consumed" not in caplog.text
