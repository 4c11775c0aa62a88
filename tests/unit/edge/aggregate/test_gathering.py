import asyncio
import itertools
import json
from types import SimpleNamespace

import pytest
from sanic.compat import Header

from edge.exchange import Exchange
from edge.routes import compiled
from edge.rpc.calls import Deadline
from edge.rpc.failures import NotExecuted, RemoteRefusal
from edge.stages.translate_errors import translate_errors
from edge.targets.aggregate import AggregateTarget
from tests.builders.hurry import hurried
from tests.builders.tables import a_route, table_text
from tests.fakes.edge import FakeRpc

PARTS = ("products", "categories", "product")
METHODS = ("list_products", "list_categories", "get_product")
BUDGETS = (2.0, 3.0, 2.5)
OUTCOMES = ("answers", "refuses", "fails", "hangs")
ORDERS = tuple(itertools.permutations((0.1, 0.2, 0.3)))
ANSWERS = ({"items": [1], "next_cursor": "x"}, [{"id": 7}], {"id": 1, "sku": "s"})
SHOWN = ([1], [{"id": 7}], {"id": 1})


def a_table(required, **changes):
    calls = [
        {"call": "catalog.list_products", "page": True, "deadline": BUDGETS[0]},
        {"call": "catalog.list_categories", "deadline": BUDGETS[1]},
        {"call": "catalog.get_product", "fixed": {"product_id": 1}, "hide": ["sku"], "deadline": BUDGETS[2]},
    ]
    parts = [
        {"name": name, "required": needed} | call for name, needed, call in zip(PARTS, required, calls, strict=True)
    ]
    route = {"name": "three", "path": "/three", "call": "left out", "arguments": "left out", "deadline": 4}
    return compiled(table_text(a_route(**route, aggregate={"parts": parts}, **changes)))


def behaving(position, outcome, after):
    async def answer(_arguments, _context):
        await asyncio.sleep(10_000 if outcome == "hangs" else after)
        if outcome == "refuses":
            return RemoteRefusal("catalog.product_not_found", f"There is no {position}.", {"which": position})
        return NotExecuted("nobody is there", retry_after=position + 2) if outcome == "fails" else ANSWERS[position]

    return answer


def an_exchange(route, rpc):
    request = SimpleNamespace(query_string="", headers=Header(), method="GET", path="/three", ip="192.0.2.1")
    equipment = SimpleNamespace(collaborators=SimpleNamespace(rpc=rpc), proxies=None)
    exchange = Exchange(request=request, equipment=equipment, snapshot=None, route=route, request_id="r-1")
    exchange.deadline = Deadline.after(route.policy.deadline)
    return exchange


async def played(route, target, outcomes, order):
    """The answer as bytes with its status and headers, and the seconds it took."""
    rpc = FakeRpc(**{METHODS[at]: behaving(at, outcomes[at], order[at]) for at in range(3)})
    loop = asyncio.get_running_loop()
    began = loop.time()
    response = await translate_errors(an_exchange(route, rpc), target)
    took = loop.time() - began
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return (response.status, sorted(response.headers.items()), response.body), took


def expected(required, outcomes):
    """What the table promises: the first required part that has no answer decides, else what is down is named."""
    down = {"fails", "hangs"}
    for position, (is_required, outcome) in enumerate(zip(required, outcomes, strict=True)):
        if is_required and outcome != "answers":
            code = {"refuses": "catalog.product_not_found", "fails": "service.unavailable"}
            return {"refuses": 404}.get(outcome, 503), code.get(outcome, "deadline.passed"), position
    missing = [name for name, outcome in zip(PARTS, outcomes, strict=True) if outcome in down]
    refused = [name for name, outcome in zip(PARTS, outcomes, strict=True) if outcome == "refuses"]
    values = [shown if outcome == "answers" else None for shown, outcome in zip(SHOWN, outcomes, strict=True)]
    named = {"unavailable": missing, "refused": refused, "skipped": []}
    return 200, dict(zip(PARTS, values, strict=True)) | named, None


@pytest.mark.parametrize("required", list(itertools.product([False, True], repeat=3)), ids=lambda needs: f"{needs}")
def test_whatever_the_parts_say_and_whoever_is_first_the_answer_is_the_same_to_the_byte(required):
    (route,) = a_table(required).routes
    target = AggregateTarget(route, route.policy.aggregate)

    async def everything():
        for outcomes in itertools.product(OUTCOMES, repeat=3):
            seen = [await played(route, target, outcomes, order) for order in ORDERS]
            yield outcomes, [given for given, _ in seen], max(took for _, took in seen)

    async def collected():
        return [one async for one in everything()]

    results = hurried(collected())

    assert len(results) == 64
    for outcomes, given, took in results:
        assert given == given[:1] * 6, outcomes
        assert took <= max(BUDGETS), outcomes
        status, headers, body = given[0]
        wanted, content, position = expected(required, outcomes)
        assert status == wanted, outcomes
        if position is None:
            assert body == json.dumps(content, separators=(",", ":")).encode(), outcomes
        else:
            assert json.loads(body)["code"] == content, outcomes
        if outcomes[position or 0] == "fails" and position is not None:
            assert ("retry-after", str(position + 2)) in headers


def test_only_a_whole_answer_may_be_kept():
    (route,) = a_table([False] * 3, answer={"cache_control": "public, no-cache", "etag": "content"}).routes
    target = AggregateTarget(route, route.policy.aggregate)

    async def all_three():
        whole, _ = await played(route, target, ["answers"] * 3, ORDERS[0])
        partial, _ = await played(route, target, ["answers", "fails", "answers"], ORDERS[0])
        refused, _ = await played(route, target, ["answers", "refuses", "answers"], ORDERS[0])
        return dict(whole[1]), dict(partial[1]), dict(refused[1])

    whole, partial, refused = hurried(all_three())

    assert whole["cache-control"] == "public, no-cache"
    assert "etag" in whole
    assert partial == refused == {"cache-control": "no-store"}


def test_parts_never_have_more_time_than_the_route():
    (route,) = a_table([False] * 3).routes
    seen = []

    async def answer(_arguments, context):
        seen.append(context.deadline.monotonic)
        return {"items": []}

    exchange = an_exchange(route, FakeRpc(**dict.fromkeys(METHODS, answer)))
    exchange.deadline = Deadline.after(0.5)
    hurried(AggregateTarget(route, route.policy.aggregate)(exchange))

    assert seen == [exchange.deadline.monotonic] * 3


def test_a_refusal_that_is_certain_is_not_kept_waiting_by_those_who_do_not_matter():
    (route,) = a_table([False, True, False]).routes
    target = AggregateTarget(route, route.policy.aggregate)

    (status, _, _), took = hurried(played(route, target, ["hangs", "refuses", "hangs"], ORDERS[0]))

    assert status == 404
    assert took == pytest.approx(0.2)


def test_what_a_part_does_not_expect_is_that_parts_fault_alone():
    (route,) = a_table([False] * 3).routes
    answers = {"list_products": {"no items": 1}, "list_categories": [], "get_product": {"id": 1}}

    response = hurried(AggregateTarget(route, route.policy.aggregate)(an_exchange(route, FakeRpc(**answers))))

    assert json.loads(response.body) == {
        "products": None, "categories": [], "product": {"id": 1}, "unavailable": ["products"],
        "refused": [], "skipped": [],
    }  # fmt: skip
