"""A cache with a clock that stands still, a target that answers as told, and requests for both."""

import asyncio
from functools import partial
from types import SimpleNamespace

import msgspec
from sanic import HTTPResponse
from sanic.compat import Header

from edge.cache.answering import ResponseCache
from edge.cache.flights import Asked
from edge.cache.plan import Plan
from edge.exchange import Exchange
from edge.policies import RoutePolicy
from edge.rpc.calls import Deadline

A_ROUTE = {
    "name": "get_product", "method": "GET", "path": "/api/products/{product_id}", "summary": "One", "tag": "Catalogue",
    "auth": "none", "limits": None, "call": "catalog.get_product", "arguments": {"product_id": "path"},
    "answer": {"cache_control": "public, no-cache"},
    "cache": {"ttl": 10, "stale_while_revalidate": 30, "stale_if_error": 3600, "tags": ["product:{product_id}"]},
}  # fmt: skip


def a_policy(**changes):
    return msgspec.convert(A_ROUTE | changes, RoutePolicy)


def a_plan(*, cache=None, **changes):
    policy = a_policy(cache=A_ROUTE["cache"] | (cache or {}), **changes)
    return Plan(policy, policy.cache)


class Evenly:
    """Dice that draw the least."""

    def uniform(self, least, _most):
        return least


class Clock:
    """Monotonic and wall clock in one: seconds."""

    def __init__(self, at=1000.0):
        self.at = at

    def __call__(self):
        return self.at


class Origin:
    """A target: counts what reaches it, and answers with ``body`` under ``headers``, or raises ``fault``."""

    def __init__(self, body=b"{}", status=200, **headers):
        self.body, self.status = body, status
        self.headers = {"cache-control": "public, no-cache", "etag": '"1-a"'} | headers
        self.fault = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen = []

    async def __call__(self, exchange):
        self.seen.append(exchange)
        body = self.body
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return HTTPResponse(body, status=self.status, headers=self.headers, content_type="application/json")


def an_exchange(*, product="7", query="", headers=None, caller=None, seconds=5.0):
    request = SimpleNamespace(
        query_string=query, headers=Header(headers or {}), method="GET", stream=object(), conn_info=1
    )
    exchange = SimpleNamespace(
        request=request, variables={"product_id": product} if product else {}, body={}, caller=caller,
        deadline=Deadline.after(seconds), verdicts=["mine"], rpc_seconds=0.0, caller_class=None,
    )  # fmt: skip
    exchange.header = partial(Exchange.header, exchange)
    return exchange


class Shop:
    """Everything together; ``ask`` is what a client sees."""

    def __init__(self, *, origin=None, plan=None, **parts):
        self.clock = Clock()
        self.cache = ResponseCache(monotonic=self.clock, wall=self.clock, dice=Evenly(), **parts)
        self.origin = origin or Origin()
        self.plan = plan or a_plan()

    async def ask(self, **asked):
        exchange = an_exchange(**asked)
        key = self.plan.key_of(exchange)
        assert key is not None
        return await self.cache.answer(Asked(exchange, self.origin, self.plan, key))

    def asking(self, **asked):
        """A request under way; it has asked the origin, or joined those who have, when this is next awaited."""
        return asyncio.create_task(self.ask(**asked))

    async def settled(self):
        """Until nothing is being fetched any more."""
        while self.cache.fetching.tasks:
            await asyncio.wait(set(self.cache.fetching.tasks))


def status_of(response):
    return response.headers["cache-status"]
