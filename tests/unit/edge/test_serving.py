import asyncio
import resource

import orjson
import pytest

from edge.brief import brief
from edge.lifecycle import _turn_to_retire
from edge.serving import OTHER_FILES, allow_files, places


@pytest.fixture
def files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(files):
    _, hard = files
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    assert allow_files(300) == 300
    assert allow_files(200) == 300, "and never lowered"
    assert allow_files(hard + 1) == hard


def test_a_worker_has_no_more_places_than_it_may_open_files(files):
    _, hard = files
    resource.setrlimit(resource.RLIMIT_NOFILE, (OTHER_FILES + 600, hard))
    assert (places(100), places(4000)) == (100, 600)

    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    assert places(4000) == 200


@pytest.mark.parametrize("code", ["request.timeout", "service.unavailable"])
def test_a_brief_answer_is_a_whole_problem_document(code):
    head, _, body = brief(code, "Why.").partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    document = orjson.loads(body)

    assert head.split()[1] == str(document["status"]).encode()
    assert (document["code"], document["detail"], document["retryable"]) == (code, "Why.", True)
    assert headers["content-length"] == str(len(body))
    assert (headers["connection"], headers["retry-after"]) == ("close", "1")
    assert headers["x-request-id"] == document["request_id"]


def test_workers_of_one_edge_retire_one_after_another():
    async def scenario():
        first = await _turn_to_retire(1)
        waiting = asyncio.create_task(_turn_to_retire(1))
        other_edge = await _turn_to_retire(2)
        await asyncio.sleep(0.1)
        assert not waiting.done()
        first.close()
        second = await asyncio.wait_for(waiting, 5)
        second.close()
        other_edge.close()

    asyncio.run(scenario())
