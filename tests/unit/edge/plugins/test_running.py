import asyncio
import itertools
import json

import pytest
from structlog.testing import capture_logs

from edge.cache.answering import ResponseCache
from edge.plugins import Caller, Options, Plugin, Refused, Response
from edge.plugins.opening import Plugins
from edge.rpc.failures import NotExecuted, RemoteRefusal
from shared.metrics.counting import registry
from tests.builders.gateway import a_gateway
from tests.builders.gateway import a_route as a_passed_route
from tests.builders.tables import a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token

pytestmark = pytest.mark.anyio

AROUND, BEFORE = "around the target", "before authenticate"
PRODUCT = "/api/products/7"


def a_plugin(stage, place=AROUND, **changes):
    return Plugin(place=place, make=lambda _options, _settings: stage, **changes)


def named(*names, **changes):
    return a_route(plugins=[{"name": name} for name in names], **changes)


async def passing(request, proceed):
    return await proceed(request)


async def test_a_stage_of_a_teams_own_sees_the_request_and_changes_the_answer(packages, an_edge):
    seen = []

    class Shout(Options, frozen=True, kw_only=True):
        word: str

    def make(options, settings):
        async def shout(request, proceed):
            seen.append(request)
            response = await proceed(request)
            response.headers["x-shout"] = options.word + settings["MARK"]
            response.status = 203
            return response

        return shout

    packages.offer(my_shout=Plugin(place=AROUND, options=Shout, make=make))
    packages.monkeypatch.setenv("KIRANA_PLUGIN_MY_SHOUT_MARK", "!")
    route = a_route(plugins=[{"name": "my-shout", "options": {"word": "tea"}}])
    async with an_edge(route) as client:
        answered = await client.get(PRODUCT + "?", headers={"X-Request-ID": "r-1", "X-Own": "mine"})

    (request,) = seen
    assert (answered.status_code, answered.json(), answered.headers["x-shout"]) == (203, {"id": 7}, "tea!")
    assert answered.headers["ratelimit"]
    assert answered.headers["x-content-type-options"] == "nosniff"
    assert (request.method, request.path, request.route) == ("GET", PRODUCT, "get_product")
    assert (request.variables, request.request_id, request.address) == ({"product_id": "7"}, "r-1", "127.0.0.1")
    assert (request.headers["x-own"], request.body, request.caller) == ("mine", b"", None)


async def test_it_sees_the_body_and_the_caller_of_a_route_that_has_them(packages, an_edge):
    seen = []

    async def look(request, proceed):
        seen.append((request.body, request.caller))
        return await proceed(request)

    packages.offer(look=a_plugin(look))
    route = named(
        "look", name="clear", method="DELETE", path="/cart", call="cart.clear_cart", auth="required",
        idempotency="accepted", arguments={"expected_version": "if-match"},
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {a_token(scope='edge:admin')}", "Content-Type": "application/json"}
    async with an_edge(route, rpc=FakeRpc(clear_cart={})) as client:
        await client.request("DELETE", "/cart", headers=headers, content=b"{ }")

    assert seen == [(b"{ }", Caller("user-1", frozenset({"edge:admin"})))]


async def test_it_may_answer_itself_and_then_nobody_else_is_asked(packages, an_edge):
    async def tea(_request, _proceed):
        return Response(b"no coffee", status=418, content_type="text/plain", headers={"x-pot": "1"})

    rpc = FakeRpc()
    packages.offer(tea=a_plugin(tea))
    async with an_edge(named("tea"), rpc=rpc) as client:
        answered = await client.get(PRODUCT)

    assert (answered.status_code, answered.text, answered.headers["x-pot"]) == (418, "no coffee", "1")
    assert answered.headers["content-type"] == "text/plain"
    assert answered.headers["cache-control"] == "no-store"
    assert rpc.calls == []


async def test_it_may_say_no_in_the_words_of_the_shop(packages, an_edge):
    async def never(_request, _proceed):
        headers = {"retry-after": "7", "connection": "close"}
        raise Refused("cart.closed", "Not today.", headers=headers, day="monday")

    packages.offer(never=a_plugin(never))
    async with an_edge(named("never")) as client:
        answered = await client.get(PRODUCT)

    document = answered.json()
    assert (answered.status_code, document["code"], document["detail"]) == (409, "cart.closed", "Not today.")
    assert document["day"] == "monday"
    assert (answered.headers["retry-after"], answered.headers["connection"]) == ("7", "close")


async def test_the_first_that_is_named_is_the_outermost_and_each_runs_in_its_place(packages, an_edge):
    order = []

    def noting(word):
        async def note(request, proceed):
            order.append(word)
            return await proceed(request)

        return note

    packages.offer(
        one=a_plugin(noting("one")), two=a_plugin(noting("two"), BEFORE), three=a_plugin(noting("three")),
        four=a_plugin(noting("four"), BEFORE), five=a_plugin(noting("five")),
    )  # fmt: skip
    async with an_edge(named("one", "two", "three", "four", "five", auth="required")) as client:
        refused = await client.get(PRODUCT)
        before, order = order.copy(), order.clear() or order
        await client.get(PRODUCT, headers={"Authorization": f"Bearer {a_token()}"})

    assert (refused.status_code, before) == (401, ["two", "four"])
    assert order == ["two", "four", "one", "three", "five"]


async def test_what_it_says_who_calls_is_authorized_and_counted_like_any_caller(packages, an_edge):
    async def badge(request, proceed):
        request.caller = Caller(request.headers["x-badge"], frozenset(request.headers["x-may"].split()))
        return await proceed(request)

    rpc = FakeRpc(get_product={"id": 7})
    packages.offer(badge=a_plugin(badge, BEFORE))
    route = named(
        "badge", auth="required", scopes=["edge:admin"], limits={"address": "many", "caller": "few"}
    )  # fmt: skip
    rates = {"many": {"quota": 1000, "window": 60}, "few": {"quota": 2, "window": 60}}
    statuses = {}
    async with an_edge(route, rpc=rpc, rates=rates) as client:
        for who, may in itertools.product(("ann", "ben"), ("edge:admin", "catalog:write")):
            asked = [await client.get(PRODUCT, headers={"X-Badge": who, "X-May": may}) for _ in range(3)]
            statuses[who, may] = [one.status_code for one in asked]

    assert statuses == {
        ("ann", "edge:admin"): [200, 200, 429],
        ("ann", "catalog:write"): [403] * 3,
        ("ben", "edge:admin"): [200, 200, 429],
        ("ben", "catalog:write"): [403] * 3,
    }
    assert {context.user_id for _, _, context in rpc.calls} == {"ann", "ben"}


async def test_where_a_caller_is_optional_one_that_a_plugin_names_is_counted_by_name(packages, an_edge):
    async def badge(request, proceed):
        if who := request.headers.get("x-badge"):
            request.caller = Caller(who)
        return await proceed(request)

    packages.offer(badge=a_plugin(badge, BEFORE))
    route = named("badge", auth="optional", limits={"address": "many", "caller": "few"})
    rates = {"many": {"quota": 1000, "window": 60}, "few": {"quota": 1, "window": 60}}
    async with an_edge(route, rates=rates) as client:
        statuses = [
            [(await client.get(PRODUCT, headers=headers)).status_code for _ in range(2)]
            for headers in ({"X-Badge": "ann"}, {"X-Badge": "ben"})
        ]
        token = {"Authorization": f"Bearer {a_token()}"}
        await client.get(PRODUCT, headers=token)
        statuses.append([(await client.get(PRODUCT, headers=token | {"X-Badge": "cleo"})).status_code for _ in "ab"])

    assert statuses == [[200, 429]] * 3


async def test_a_guest_whom_no_plugin_names_is_counted_by_the_network(packages, an_edge):
    async def pass_by(request, proceed):
        return await proceed(request)

    packages.offer(idle=a_plugin(pass_by, BEFORE))
    route = named("idle", auth="optional", limits={"address": "many", "caller": "few"})
    rates = {"many": {"quota": 1000, "window": 60}, "few": {"quota": 2, "window": 60}}
    async with an_edge(route, rates=rates) as client:
        statuses = [(await client.get(PRODUCT)).status_code for _ in range(4)]

    assert statuses == [200, 200, 429, 429]


async def test_it_may_change_headers_for_what_comes_after(packages, tmp_path):
    async def change(request, proceed):
        request.headers["x-tenant"] = "t-1"
        del request.headers["x-secret"]
        return await proceed(request)

    packages.offer(change=a_plugin(change))

    async def behave(_asked, _reader, writer):
        writer.write(answer(b"{}"))
        await writer.drain()
        return True

    route = a_passed_route(plugins=[{"name": "change"}])
    async with Upstream("a", behave) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        await edge.client.get("/things/x", headers={"X-Secret": "s", "X-Tenant": "forged"})

    (asked,) = one.asked
    assert (asked.value("x-tenant"), asked.value("x-secret")) == ("t-1", None)


async def test_a_body_that_is_passed_on_unread_it_does_not_see(packages, tmp_path):
    seen = []

    async def look(request, proceed):
        seen.append(request.body)
        return await proceed(request)

    packages.offer(look=a_plugin(look))

    async def behave(_asked, _reader, writer):
        writer.write(answer(b"{}"))
        await writer.drain()
        return True

    route = a_passed_route("send", "POST", idempotency="accepted", plugins=[{"name": "look"}])
    async with Upstream("a", behave) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        await edge.client.post("/things/x", content=b"a body")

    assert seen == [None]
    assert one.asked[0].body == b"a body"


async def test_it_may_read_and_replace_an_answer_that_is_still_on_its_way(packages, tmp_path):
    async def upper(request, proceed):
        response = await proceed(request)
        response.replace((await response.read()).upper(), content_type="text/x-loud")
        return response

    packages.offer(upper=a_plugin(upper))

    async def behave(_asked, _reader, writer):
        writer.write(answer(b"quiet", "content-type: text/plain", "x-own: 1"))
        await writer.drain()
        return True

    route = a_passed_route(plugins=[{"name": "upper"}])
    async with Upstream("a", behave) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        answered = await edge.client.get("/things/x")

    assert (answered.text, answered.headers["content-type"], answered.headers["x-own"]) == ("QUIET", "text/x-loud", "1")


async def test_what_is_kept_is_kept_without_its_changes(packages, an_edge):
    numbers = itertools.count(1)

    async def number(request, proceed):
        response = await proceed(request)
        response.headers["x-number"] = str(next(numbers))
        response.replace(await response.read() + b" ", content_type="application/json")
        return response

    packages.offer(number=a_plugin(number))
    words = {"answer": {"cache_control": "public, no-cache", "etag": "content"}, "cache": {"ttl": 60}}
    async with an_edge(named("number", **words), cache=ResponseCache()) as client:
        answers = [await client.get(PRODUCT) for _ in range(3)]

    assert [one.headers["x-number"] for one in answers] == ["1", "2", "3"]
    assert [one.content for one in answers] == [b'{"id":7} '] * 3
    assert answers[2].headers["cache-status"] == "kirana; hit"


class NotAnAnswer:
    pass


async def broken_before(_request, _proceed):
    raise KeyError("secret detail")


async def broken_after(request, proceed):
    await proceed(request)
    raise ZeroDivisionError


async def timed_out_itself(_request, _proceed):
    async with asyncio.timeout(0):
        await asyncio.sleep(1)


async def answering_nonsense(_request, _proceed):
    return NotAnAnswer()


async def proceeding_twice(request, proceed):
    await proceed(request)
    return await proceed(request)


async def splitting(request, proceed):
    response = await proceed(request)
    response.headers["x-split"] = "a\r\nset-cookie: b"
    return response


async def framing(request, proceed):
    request.headers["content-length"] = "7"
    return await proceed(request)


async def smuggling(request, proceed):
    request.headers["x-a"] = "b\nx-c: d"
    return await proceed(request)


async def promoting(request, proceed):
    request.caller = Caller("root")
    return await proceed(request)


async def refusing_in_unknown_words(_request, _proceed):
    raise Refused("bakery.closed", "No.")


async def waiting_for_what_it_called_off(_request, _proceed):
    helper = asyncio.create_task(asyncio.sleep(60))
    helper.cancel()
    await helper


async def answering_999(request, proceed):
    response = await proceed(request)
    response.status = 999
    return response


async def answering_no_final_status(_request, _proceed):
    return Response(b"{}", status=103)


async def chunking(request, proceed):
    response = await proceed(request)
    response.headers["Transfer-Encoding"] = "chunked"
    return response


async def measuring(request, proceed):
    response = await proceed(request)
    response.headers["content-length"] = "7"
    return response


async def copying(_request, _proceed):
    return Response(b"{}", headers={"connection": "keep-alive", "content-type": "application/json"})


async def refusing_in_chunks(_request, _proceed):
    raise Refused("cart.closed", "No.", headers={"transfer-encoding": "chunked"})


async def refusing_in_two_lines(_request, _proceed):
    raise Refused("cart.closed", "No.", headers={"x-split": "a\r\nset-cookie: b"})


async def leaving(_request, _proceed):
    raise SystemExit(1)


async def interrupting(request, proceed):
    await proceed(request)
    raise KeyboardInterrupt


class Stop(BaseException):
    pass


async def stopping(_request, _proceed):
    raise Stop("secret detail")


FAULTY = {
    function.__name__: function
    for function in (
        broken_before, broken_after, timed_out_itself, answering_nonsense, proceeding_twice, splitting, framing,
        smuggling, promoting, refusing_in_unknown_words, waiting_for_what_it_called_off, answering_999,
        answering_no_final_status, chunking, measuring, copying, refusing_in_chunks, refusing_in_two_lines, leaving,
        interrupting, stopping,
    )
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
async def test_what_it_does_wrong_is_one_logged_500_and_nothing_else(packages, an_edge, fault):
    async def sometimes(request, proceed):
        wrong = "x-wrong" in request.headers
        return await (FAULTY[fault] if wrong else passing)(request, proceed)

    packages.offer(faulty=a_plugin(sometimes))
    async with an_edge(named("faulty")) as client:
        with capture_logs() as logs:
            counted = told("faulty")
            wrong = await client.get(PRODUCT, headers={"X-Wrong": "1"})
        right = await client.get(PRODUCT)

    assert (wrong.status_code, wrong.json()["code"]) == (500, "internal")
    assert "secret detail" not in wrong.text
    assert "set-cookie" not in wrong.headers
    assert [line["plugin"] for line in logs if line["log_level"] == "error"] == ["faulty"]
    assert right.status_code == 200
    assert told("faulty") == counted + 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["transfer-encoding", "content-length", "trailer", "upgrade"])
async def test_what_is_still_on_its_way_keeps_its_framing(packages, tmp_path, name, method):
    async def frame(request, proceed):
        response = await proceed(request)
        if "x-wrong" in request.headers:
            response.headers[name] = "0"
        return response

    packages.offer(frame=a_plugin(frame))

    async def behave(asked, _reader, writer):
        writer.write(answer(b"quiet")[: -5 if asked.method == "HEAD" else None])
        await writer.drain()
        return True

    async with (
        Upstream("a", behave) as one,
        a_gateway(tmp_path, a_passed_route(plugins=[{"name": "frame"}])) as edge,
    ):
        edge.there_are(one)
        wrong = await edge.client.request(method, "/things/x", headers={"X-Wrong": "1"})
        right = await edge.client.request(method, "/things/x")

    assert (wrong.status_code, right.status_code) == (500, 200)
    assert right.headers["content-length"] == "5"
    assert right.content == (b"quiet" if method == "GET" else b"")


async def test_it_may_say_what_is_true_of_its_own_answer_and_end_the_connection(packages, an_edge):
    async def end(_request, _proceed):
        return Response(b"bye", headers={"Content-Length": "3", "Connection": "close"})

    packages.offer(end=a_plugin(end))
    async with an_edge(named("end")) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"GET {PRODUCT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 60)).lower().partition(b"\r\n\r\n")
        writer.close()

    assert (head.split(b"\r\n")[0], body) == (b"http/1.1 200 ok", b"bye")
    assert head.count(b"\r\nconnection: close") == head.count(b"\r\ncontent-length: 3") == 1


def told(plugin):
    return registry.get_sample_value("kirana_edge_stage_failures_total", {"plugin": plugin}) or 0


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (RemoteRefusal("catalog.product_not_found", "No.", {}), 404, "catalog.product_not_found"),
        (NotExecuted("away"), 503, "service.unavailable"),
    ],
    ids=["refusal", "away"],
)
async def test_what_comes_from_behind_it_is_told_as_without_it(packages, an_edge, fault, status, code):
    packages.offer(passing=a_plugin(passing))
    async with an_edge(named("passing"), rpc=FakeRpc(get_product=fault)) as client:
        with capture_logs() as logs:
            answered = await client.get(PRODUCT)

    assert (answered.status_code, answered.json()["code"]) == (status, code)
    assert not [line for line in logs if line["event"] == "edge.plugin_failed"]


async def test_who_goes_away_is_no_fault_of_the_plugin_that_waits(packages, an_edge):
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(_request, _proceed):
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    packages.offer(hang=a_plugin(hang))
    async with an_edge(named("hang", deadline=50.0)) as client:
        counted = told("hang")
        with capture_logs() as logs:
            _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            writer.write(f"GET {PRODUCT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await eventually_async(began.is_set)
            writer.transport.abort()
            await eventually_async(lambda: any(line["event"] == "http.request" for line in logs))

    assert ended.is_set()
    assert [line["http.response.status_code"] for line in logs if line["event"] == "http.request"] == [499]
    assert not [line for line in logs if line["event"] == "edge.plugin_failed"]
    assert told("hang") == counted


@pytest.mark.parametrize("place", [AROUND, BEFORE])
async def test_one_that_hangs_is_cut_by_the_routes_deadline(packages, an_edge, place):
    ended = asyncio.Event()

    async def hang(_request, _proceed):
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    packages.offer(hang=a_plugin(hang, place))
    async with an_edge(named("hang", deadline=1.0)) as client:
        answered = await client.get(PRODUCT)

    assert (answered.status_code, answered.json()["code"]) == (503, "deadline.passed")
    assert ended.is_set()


async def test_it_is_opened_once_before_the_first_request_and_closed_with_the_worker(packages, an_edge):
    events, may_open = [], asyncio.Event()

    async def opened():
        events.append("opening")
        await may_open.wait()
        events.append("open")

    async def closed():
        events.append("closed")

    async def note(request, proceed):
        events.append("request")
        return await proceed(request)

    packages.offer(note=a_plugin(note, opened=opened, closed=closed))
    async with an_edge(named("note")) as client:
        asked = [asyncio.create_task(client.get(PRODUCT)) for _ in range(3)]
        await eventually_async(lambda: events == ["opening"], within=5)
        may_open.set()
        statuses = [(await one).status_code for one in asked]
        await client.get(PRODUCT)
        await client.parts.plugins.close()

    assert statuses == [200] * 3
    assert events == ["opening", "open", *["request"] * 4, "closed"]


async def test_who_goes_away_while_it_is_opened_leaves_it_to_those_who_stay():
    may_open = asyncio.Event()
    plugin, plugins = a_plugin(passing, opened=may_open.wait), Plugins()
    gone, stays = (asyncio.create_task(plugins.open("slow", plugin)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    may_open.set()

    await asyncio.wait_for(stays, 5)
    assert gone.cancelled()


async def test_what_is_being_opened_ends_with_the_worker():
    plugin, plugins = a_plugin(passing, opened=asyncio.Event().wait), Plugins()
    waits = asyncio.create_task(plugins.open("never", plugin))
    await asyncio.sleep(0)

    await asyncio.wait_for(plugins.close(), 5)

    with pytest.raises(asyncio.CancelledError):
        await waits


@pytest.mark.parametrize("fault", [OSError, SystemExit, KeyboardInterrupt, Stop])
async def test_one_that_cannot_be_closed_does_not_keep_the_others_open(fault):
    closed = []

    async def broken():
        raise fault

    async def note():
        closed.append(True)

    plugins = Plugins()
    await plugins.open("broken", a_plugin(passing, closed=broken))
    await plugins.open("fine", a_plugin(passing, closed=note))
    await plugins.close()

    assert closed == [True]


async def test_one_that_cannot_be_opened_costs_its_requests_a_500_until_it_can(packages, an_edge):
    faults = [OSError("no such host"), SystemExit(1), KeyboardInterrupt(), Stop()]

    async def opened():
        if faults:
            raise faults.pop()

    packages.offer(late=a_plugin(passing, opened=opened))
    async with an_edge(named("late")) as client:
        statuses = [(await client.get(PRODUCT)).status_code for _ in range(5)]

    assert statuses == [500] * 4 + [200]


async def test_what_it_may_answer_besides_is_described(packages, an_edge):
    packages.offer(xml=a_plugin(passing, problems=("cart.closed",), media_types=("text/x-own",)))
    docs = {"name": "openapi", "path": "/openapi.json", "local": "openapi", "limits": None}
    with_docs = a_route(**docs, call="left out", arguments="left out")
    async with an_edge(named("xml"), with_docs) as client:
        described = json.loads((await client.get("/openapi.json")).content)

    responses = described["paths"]["/api/products/{product_id}"]["get"]["responses"]
    assert "`cart.closed`" in responses["409"]["description"]
    assert set(responses["200"]["content"]) == {"application/json", "text/x-own"}
