"""No input is answered with a 500 or a status that the description does not have: corners that generators miss."""

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote
from zlib import crc32

import pytest

from tests.builders.shop import Client, a_product, unique
from tests.e2e.test_description import EXAMPLES, an_administrator

pytestmark = pytest.mark.anyio

SHARE = 4 if EXAMPLES < 10 else 1
"""One value in so many is tried in each place; all of them when there is time."""

ODD = [
    2**63 - 1, 2**63, 10**30, 10**400, -(2**63) - 1, 1.5, 1e308, True, None, "", "\x00", "a\x00b", "\ud800",
    "\u0661\u0662", "\uff11\uff12", "\u00b2", "\u202e", "A" * 5000, "%00", "%", "' OR 1=1--", "../../etc/passwd", "1\n",
    "0x10", "1_000", " 1", "NaN", "9" * 30 + ".99", "-0.01", "e\u0301" * 100, [], {}, [[None]], {"": ""},
]  # fmt: skip
RAW = [
    b"", b" ", b"null", b"[]", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{}{}", b'{"\\ud800": 1}', b'{"a\\u0000": 1}',
    b'{"": 1}', b"[" * 9000, b'{"a":' * 40 + b"1" + b"}" * 40, b"\x00", "{}".encode("utf-16"),
    b'{"a": 1, "a": 2}', b'{"a": 1E400}',
]  # fmt: skip
FORMS = [
    b"", b"=", b"&", b"a", b"%00=%00", b"a=1&" * 200, b"grant_type=client_credentials&grant_type=x", b"\xed\xa0\x80=1",
    b"grant_type=client_credentials&client_id=%00&client_secret=a", b"grant_type=client_credentials&client_id=%ff",
    b"grant_type=client_credentials&client_id=%ED%A0%80&client_secret=x", b"grant_type=refresh_token&refresh_token=%00",
    b"grant_type=refresh_token&refresh_token=" + b"a" * 9000,
    b"grant_type=client_credentials&client_id=a&client_secret=b&scope=" + b"x%20" * 500,
]  # fmt: skip
HEADS = {
    "If-Match": [b'W/"1"', b'"1","2"', b"1", b'""', b'"', b'"99999999999999999999"', b'"-1"', b'"\xff"', b'"1-abc" '],
    "If-None-Match": [b"*", b'"' * 100, b'"a",', b"\xe9", b"," * 3000],
    "Idempotency-Key": [b'""', b'"', b'"\\"', b"x" * 256, b"\x7f", b"\xe9", b":YQ==:", b'"a";p=1'],
    "X-Cart-Token": [b"a", b"a" * 129, b"\xe9" * 30, b"-" * 40],
    "Authorization": [
        b"Bearer",
        b"Bearer a.b.c",
        b"Bearer " + b"a." * 50,
        b"Basic !!!",
        b"Basic gICAgA==",
        b"Bearer \xff",
    ],
    "X-Request-ID": [b"", b"x" * 129, b"\xff"],
    "traceparent": [b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"\xff"],
    "Content-Type": [b"application/json; charset=utf-16", b"application/json;;", b"application/*", b"\xff"],
    "Content-Encoding": [b"gzip", b"\xff"],
    "X-Forwarded-For": [b"::1, x", b"\xff", b"," * 500],
    "Origin": [b"null", b"http://[", b"\xff"],
    "Range": [b"bytes=-1,99-"],
}


@dataclass(frozen=True)
class Operation:
    """One operation of the description, with what gets a request past its door."""

    name: str
    method: str
    path: str
    statuses: frozenset
    token: str | None
    queries: list
    body: dict | None = None
    is_form: bool = False
    members: list = field(default_factory=list)

    def asked(self, *heads, value="1", query="", body=None):
        """The request as bytes; ``value`` stands wherever the path has a variable."""
        parts = [
            quote(value, safe="", errors="surrogatepass") if part[:1] == "{" else part for part in self.path.split("/")
        ]
        names = {head.partition(b":")[0] for head in heads}
        lines = [
            f"{self.method} {'/'.join(parts)}{query} HTTP/1.1".encode(),
            b"Host: shop.example",
            b"Connection: close",
        ]
        if self.token and b"Authorization" not in names:
            lines.append(b"Authorization: Bearer " + self.token.encode())
        if self.method != "GET" and b"Idempotency-Key" not in names:
            lines.append(b"Idempotency-Key: " + unique("key").encode())
        if body is None and self.body is not None:
            body = json.dumps(self.body).encode()
        if body is not None:
            kind = b"application/x-www-form-urlencoded" if self.is_form else b"application/json"
            lines += [b"Content-Length: %d" % len(body)]
            lines += [] if b"Content-Type" in names else [b"Content-Type: " + kind]
        return b"\r\n".join([*lines, *heads, b"", b""]) + (body or b"")

    def corners(self):
        """Odd values in every place that takes one."""
        for value in self.some(ODD, "path") if "{" in self.path else ():
            if text := str(value)[:2000]:
                yield self.asked(value=text)
        for name in self.queries:
            texts = [quote(str(odd)[:2000], errors="surrogatepass") for odd in ODD]
            queries = [*(f"?{name}={text}" for text in texts), f"?{name}=1&{name}=2", f"?{name}", f"?{name}[]=1"]
            yield from (self.asked(query=query) for query in self.some([*queries, f"?{name}=%ff", "?%00=1"], name))
        for name, values in HEADS.items():
            heads = [[name.encode() + b": " + value] for value in values]
            yield from (self.asked(*head) for head in self.some([*heads, heads[0] * 2], name))
        for member in self.members:
            bodies = [json.dumps({**(self.body or {}), member: odd}).encode() for odd in ODD]
            yield from (self.asked(body=body) for body in self.some(bodies, member))
        raw = FORMS if self.is_form else RAW if self.body is not None else []
        yield from (self.asked(body=body) for body in raw)

    def some(self, values, place):
        """A share of them, another share in the next place."""
        return values[crc32(f"{self.name} {place}".encode()) % SHARE :: SHARE]


def operations_of(document, tokens, known):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            members = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
            wanted = [scopes for one in operation.get("security", []) for scopes in one.values()]
            names = list(members.get("properties", {}))
            yield Operation(
                name=operation["operationId"],
                method=method.upper(),
                path=path,
                statuses=frozenset(map(int, operation["responses"])),
                token=tokens[bool(wanted[0])] if wanted and operation["operationId"] != "log_out" else None,
                queries=[one["name"] for one in operation["parameters"] if one["in"] == "query"],
                body={name: known[name] for name in members.get("required", []) if name in known} if names else None,
                is_form="application/x-www-form-urlencoded" in content,
                members=names,
            )  # fmt: skip


async def answer_to(request, port, source):
    """The status of what comes back, 0 for silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(request)
        return int((await asyncio.wait_for(reader.read(), 20))[9:12] or 0)
    finally:
        writer.close()


async def test_no_corner_of_any_operation_is_answered_otherwise_than_described(stack, client, customer, admin):
    product = a_product(admin)["id"]
    document = client.get("/openapi.json").json()
    with Client(stack) as nobody:
        category = nobody.get("/api/categories").json()[0]["id"]
    tokens = (customer.headers["Authorization"].split()[1], an_administrator(stack)[0])
    known = {"product_id": product, "quantity": 1, "items": [{"product_id": product, "quantity": 1}], "stock": 1}
    known |= {"category_id": category, "price": "1.00", "name": "Odd", "description": "", "on_hand": 1, "expected": 1}
    known |= {"username": unique("ghost"), "password": "x" * 20, "password2": "x" * 20, "email": "x", "state": "odd"}
    known |= {"refresh": "x" * 40, "cart_token": "x" * 40, "current_password": "x" * 20}
    asked = [(each, corner) for each in operations_of(document, tokens, known) for corner in each.corners()]
    port, places = int(stack.edge_url.rpartition(":")[2]), asyncio.Semaphore(16)
    sources = (f"127.8.{number // 250 % 250}.{number % 250 + 1}" for number in itertools.count())

    async def judge(operation, corner):
        async with places:
            return await answer_to(corner, port, next(sources))

    statuses = await asyncio.gather(*(judge(*each) for each in asked))

    wrong = {
        (operation.name, status): corner[-300:]
        for (operation, corner), status in zip(asked, statuses, strict=True)
        if status not in operation.statuses or status == 500
    }
    assert not wrong
    counts = Counter(statuses)
    assert len(asked) > 1500
    assert {200, 400, 401, 404, 415} <= counts.keys(), counts
    assert sum(count for status, count in counts.items() if status in {429, 503}) < len(asked) / 10, counts
