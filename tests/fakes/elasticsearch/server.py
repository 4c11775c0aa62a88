"""A stand-in for Elasticsearch 9 that speaks its protocol for bulk requests and searches, and misbehaves on request.

``python -m tests.fakes.elasticsearch.server PORT``; see :mod:`tests.builders.elasticsearch`.
"""

import asyncio
import os
import random
import sys

import orjson
from aiohttp import web

from tests.fakes.elasticsearch.searches import Refusal, Searches
from tests.fakes.elasticsearch.streams import Streams, fault, narrowed

JSON = "application/vnd.elasticsearch+json;compatible-with=9"
NDJSON = "application/vnd.elasticsearch+x-ndjson"
PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
WHOLE = {
    "throttled": (429, "es_rejected_execution_exception", "rejected execution of coordinating operation"),
    "unavailable": (
        503,
        "cluster_block_exception",
        "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
    ),
    "bad_request": (400, "illegal_argument_exception", "Malformed action/metadata line [1]"),
    "unauthorised": (401, "security_exception", "missing authentication credentials for REST request [/_bulk]"),
    "too_large": (413, "content_too_long_exception", "entity content is too long"),
}
AFTER_STORING = ("hang_stored", "reset_stored", "cut", "no_product")
OF_SEARCHES = {
    "forbidden": (
        403,
        "security_exception",
        "action [indices:data/read/open_point_in_time] is unauthorized for user [kirana_shipper]",
    ),
    "search_hang": (),
}
"""Of bulk requests nothing comes of these."""

FAULTS = (*WHOLE, "partial", "hang", "reset", *AFTER_STORING)


class StandIn:
    """``faults`` come in turn, to a ``share`` of the requests that is left to chance."""

    def __init__(self, key):
        self.streams = Streams()
        self.searches = Searches(self.streams)
        self.faults, self.share, self.dice = (), 0.0, random.Random(0)
        self.drawn = {}
        self.slow_seconds = 0.0
        self.requests = self.compressed = 0
        self.largest = 0
        self.most_bytes = 100 * 2**20
        self._key = key

    async def bulk(self, request):
        self.requests += 1
        drawn = self._draw()
        if drawn == "reset":
            return _abort(request)
        body = await request.read()
        self.compressed += request.headers.get("Content-Encoding") == "gzip"
        self.largest = max(self.largest, len(body))
        await asyncio.sleep(self.slow_seconds)
        if drawn == "hang":
            await asyncio.sleep(3600)
        return self._objection(request, body, drawn) or await self._answer(request, body, drawn)

    async def open_point(self, request):
        return await self._searched(
            request, lambda _: self.searches.open(request.match_info["target"], request.query["keep_alive"])
        )

    async def close_point(self, request):
        return await self._searched(request, self.searches.close)

    async def search(self, request):
        return await self._searched(request, self.searches.search)

    async def _searched(self, request, answer):
        body = await request.read()
        drawn = self._draw()
        if drawn == "search_hang":
            await asyncio.sleep(3600)
        if self._key and request.headers.get("Authorization") != f"ApiKey {self._key}":
            return _refused(*WHOLE["unauthorised"])
        if refusal := (WHOLE | OF_SEARCHES).get(drawn):
            return _refused(*refusal)
        if drawn == "no_product":
            return web.json_response({})
        kind = request.headers.get("Content-Type", "").replace(" ", "")
        if body and kind != JSON:
            return _refused(406, "media_type_header_exception", f"Invalid media-type value [Content-Type={kind}]")
        try:
            told = answer(orjson.loads(body) if body else None)
        except Refusal as refusal:
            return _refused(*refusal.args)
        return web.Response(body=orjson.dumps(told), headers={"Content-Type": JSON} | PRODUCT)

    def _draw(self):
        if not self.faults or self.dice.random() >= self.share:
            return None
        drawn = self.faults[sum(self.drawn.values()) % len(self.faults)]
        self.drawn[drawn] = self.drawn.get(drawn, 0) + 1
        return drawn

    def _objection(self, request, body, drawn):
        if self._key and request.headers.get("Authorization") != f"ApiKey {self._key}":
            return _refused(*WHOLE["unauthorised"])
        if len(body) > self.most_bytes:
            return _refused(*WHOLE["too_large"])
        if drawn in WHOLE:
            return _refused(*WHOLE[drawn])
        kind, _, version = request.headers.get("Content-Type", "").replace(" ", "").partition(";")
        if kind != NDJSON or version != "compatible-with=9":
            return _refused(
                406, "media_type_header_exception", f"Invalid media-type value on headers [Content-Type={kind}]"
            )
        if not body.endswith(b"\n"):
            return _refused(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        return None

    async def _answer(self, request, body, drawn):
        items = self.streams.bulk(body.split(b"\n")[:-1], self._no_room if drawn == "partial" else lambda: None)
        if drawn == "hang_stored":
            await asyncio.sleep(3600)
        if drawn == "reset_stored":
            return _abort(request)
        errors = any("error" in item[operation] for item in items for operation in item)
        answer = {"took": 5, "errors": errors, "items": items}
        text = orjson.dumps(narrowed(answer, request.query.get("filter_path", "")))
        if drawn == "cut":
            response = web.StreamResponse(headers={**PRODUCT, "Content-Type": JSON, "Content-Length": str(len(text))})
            await response.prepare(request)
            await response.write(text[: len(text) // 2])
            return _abort(request)
        return web.Response(body=text, headers={"Content-Type": JSON} | ({} if drawn == "no_product" else PRODUCT))

    def _no_room(self):
        if self.dice.random() < 0.3:
            return fault(429, "es_rejected_execution_exception", "rejected execution of primary operation")
        if self.dice.random() < 0.1:
            return fault(503, "unavailable_shards_exception", "primary shard is not active Timeout: [1m]")
        return None

    async def misbehave(self, request):
        wish = await request.json()
        self.faults, self.share = tuple(wish.get("faults", ())), wish.get("share", 1.0)
        self.dice = random.Random(wish.get("seed", 0))
        self.slow_seconds = wish.get("slow_seconds", 0.0)
        self.most_bytes = wish.get("most_bytes", self.most_bytes)
        self.streams.is_mended = wish.get("mended", False)
        self.searches.failed_shards = wish.get("failed_shards", 0)
        assert set(self.faults) <= {*FAULTS, *OF_SEARCHES}, self.faults
        return web.json_response({})

    async def told(self, _request):
        told = {
            "stored": sum(map(len, self.streams.documents.values())),
            "statuses": self.streams.told, "drawn": self.drawn, "requests": self.requests,
            "compressed": self.compressed, "largest": self.largest,
            "searches": self.searches.asked, "open_points": self.searches.open_points,
        }  # fmt: skip
        return web.json_response(told)

    async def documents(self, _request):
        found = {"streams": self.streams.documents, "failures": self.streams.failures}
        return web.Response(body=orjson.dumps(found), content_type="application/json")


def _abort(request):
    request.transport.abort()
    return web.Response(status=500)


def _refused(status, kind, reason):
    cause = {"type": kind, "reason": reason}
    body = {"error": {"root_cause": [cause], **cause}, "status": status}
    return web.Response(status=status, body=orjson.dumps(body), headers={"Content-Type": JSON} | PRODUCT)


async def about(_request):
    body = {
        "name": "stand-in",
        "cluster_name": "tests",
        "version": {"number": "9.5.2", "build_flavor": "default"},
        "tagline": "You Know, for Search",
    }
    return web.Response(body=orjson.dumps(body), headers={"Content-Type": JSON} | PRODUCT)


def application(key=""):
    stand_in = StandIn(key)
    app = web.Application(client_max_size=200 * 2**20)
    app.router.add_get("/", about)
    app.router.add_put("/_bulk", stand_in.bulk)
    app.router.add_post("/_bulk", stand_in.bulk)
    app.router.add_post("/{target}/_pit", stand_in.open_point)
    app.router.add_delete("/_pit", stand_in.close_point)
    app.router.add_post("/_search", stand_in.search)
    app.router.add_put("/_stand_in/faults", stand_in.misbehave)
    app.router.add_get("/_stand_in/told", stand_in.told)
    app.router.add_get("/_stand_in/documents", stand_in.documents)
    return app


if __name__ == "__main__":
    web.run_app(
        application(os.environ.get("STAND_IN_API_KEY", "")),
        host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, shutdown_timeout=0.1,
    )  # fmt: skip
