"""``vary: caller-class``: an HTTP service is told the class, and its answer stays within it."""

import pytest

from edge.cache.answering import ResponseCache
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import a_token

pytestmark = pytest.mark.anyio

ROUTE = a_route(auth="optional", cache={"ttl": 60, "vary": "caller-class"})


async def behave(asked, _reader, writer):
    """A service that shows to each class what is for it."""
    body = (asked.value("x-user-class") or "nobody").encode()
    writer.write(answer(body, "content-type: text/plain", "cache-control: public, max-age=60"))
    await writer.drain()
    return True


def of(scope=None):
    return {"authorization": f"Bearer {a_token() if scope is None else a_token(scope=scope)}"}


async def test_each_class_is_given_what_was_fetched_for_it_and_nothing_else(tmp_path):
    callers = [{}, of(), of("catalog:write"), {"x-user-class": "staff"}, of(), of("edge:admin")]
    async with Upstream("a", behave) as one, a_gateway(tmp_path, ROUTE, cache=ResponseCache()) as edge:
        edge.there_are(one)
        told = [(await edge.client.get("/things/x", headers=headers)).text for headers in callers]

    assert told == ["guest", "customer", "staff", "guest", "customer", "staff"]
    assert [asked.values("x-user-class") for asked in one.asked] == [["guest"], ["customer"], ["staff"]]
    assert [asked.value("x-user-id") for asked in one.asked] == [None] * 3
