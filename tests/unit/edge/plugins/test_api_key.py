import hashlib
import hmac
import logging
from importlib import import_module
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from edge.faults import BadRoutes
from edge.pipeline import snapshot_of
from edge.routes import compiled
from tests.builders.gateway import a_gateway
from tests.builders.gateway import a_route as a_passed_route
from tests.builders.tables import a_route, table_text
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import FakeRpc, a_token

pytestmark = pytest.mark.anyio

PRODUCT = "/api/products/7"
KEYS = {"acme": "k" * 43, "bolt": "m" * 43}
RATES = {"many": {"quota": 1000, "window": 60}, "few": {"quota": 2, "window": 60}}


def a_line(owner, *scopes, key=None):
    return " ".join([hashlib.sha256((key or KEYS[owner]).encode()).hexdigest(), owner, *scopes]) + "\n"


@pytest.fixture
def module(packages, tmp_path, monkeypatch):
    packages.offer_examples()
    monkeypatch.setenv("KIRANA_PLUGIN_API_KEY_FILE", str(tmp_path / "keys"))
    return import_module("kirana_edge_examples.api_key")


@pytest.fixture
def file(module, tmp_path):
    path = tmp_path / "keys"
    path.write_text("# partners\n\n" + a_line("acme", "edge:admin", "catalog:write") + a_line("bolt"))
    return path


def keyed(**changes):
    return a_route(plugins=[{"name": "api-key"}], **({"auth": "required"} | changes))


async def test_a_key_is_as_good_as_a_token_with_its_owners_scopes_and_limits(file, an_edge):
    rpc = FakeRpc(get_product={"id": 7})
    route = keyed(scopes=["edge:admin"], limits={"address": "many", "caller": "few"})
    async with an_edge(route, rpc=rpc, rates=RATES) as client:
        asked = [await client.get(PRODUCT, headers={"X-API-Key": KEYS["acme"]}) for _ in range(3)]
        poor = await client.get(PRODUCT, headers={"x-api-key": KEYS["bolt"]})
        token = await client.get(PRODUCT, headers={"Authorization": f"Bearer {a_token(scope='edge:admin')}"})

    assert [one.status_code for one in asked] == [200, 200, 429]
    assert poor.json()["code"] == "auth.insufficient_scope"
    assert token.status_code == 200
    assert [context.user_id for _, _, context in rpc.calls] == ["acme", "acme", "user-1"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": KEYS["acme"] + "x"},
        {"X-API-Key": "é"},
        {"X-API-Key": "k" * 300},
        {"X-API-Key": hashlib.sha256(KEYS["acme"].encode()).hexdigest()},
    ],
    ids=["wrong", "empty", "longer", "no-ascii", "long", "its-hash"],
)
@pytest.mark.parametrize("auth", ["required", "optional", "none"])
async def test_a_wrong_key_is_refused_whether_or_not_one_is_needed(file, an_edge, headers, auth):
    rpc = FakeRpc(get_product={"id": 7})
    async with an_edge(keyed(auth=auth), rpc=rpc) as client:
        refused = await client.get(PRODUCT, headers={name: value.encode() for name, value in headers.items()})

    assert (refused.status_code, refused.json()["code"]) == (401, "auth.invalid_token")
    assert rpc.calls == []


async def test_without_a_key_the_route_is_as_it_was(file, an_edge):
    async with an_edge(keyed(), keyed(name="open", path="/open/{product_id}", auth="optional")) as client:
        needed, open_to_all = await client.get(PRODUCT), await client.get("/open/7")

    assert (needed.status_code, needed.json()["code"]) == (401, "auth.required")
    assert open_to_all.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("X-API-Key", KEYS["acme"]), ("X-API-Key", KEYS["bolt"])],
        [("X-API-Key", KEYS["acme"]), ("Authorization", f"Bearer {a_token()}")],
    ],
    ids=["two-keys", "key-and-token"],
)
async def test_who_says_two_things_of_who_they_are_is_refused(file, an_edge, headers):
    async with an_edge(keyed()) as client:
        refused = await client.get(PRODUCT, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (400, "request.malformed")


async def test_a_key_is_neither_logged_nor_told_nor_passed_on(file, tmp_path, caplog):
    async def behave(_asked, _reader, writer):
        writer.write(answer(b"{}"))
        await writer.drain()
        return True

    route = a_passed_route(plugins=[{"name": "api-key"}], auth="required")
    wrong = "w" * 43
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        async with Upstream("a", behave) as one, a_gateway(tmp_path, route) as edge:
            edge.there_are(one)
            right = await edge.client.get("/things/x", headers={"X-API-Key": KEYS["acme"]})
            refused = await edge.client.get("/things/x", headers={"X-API-Key": wrong})

    assert (right.status_code, refused.status_code) == (200, 401)
    assert one.asked[0].value("x-user-id") == "acme"
    assert not [value for _, value in one.asked[0].fields if KEYS["acme"] in value]
    everything = f"{logs} {caplog.text} {refused.text} {refused.headers}"
    assert KEYS["acme"] not in everything
    assert wrong not in everything


def test_every_known_key_is_compared_however_early_one_fits(file, module, monkeypatch):
    compared = []

    def counting(known, given):
        compared.append(known)
        return hmac.compare_digest(known, given)

    monkeypatch.setattr(module, "hmac", SimpleNamespace(compare_digest=counting))
    keys = module.KeyFile(file)
    first, nobody = keys.caller_of(KEYS["acme"]), keys.caller_of("wrong")

    assert (first.user_id, nobody) == ("acme", None)
    assert len(compared) == 4


def test_a_file_that_changes_counts_within_a_second_and_one_that_is_gone_lets_nobody_in(file, module):
    now = [0.0]
    keys = module.KeyFile(file, monotonic=lambda: now[0])
    assert keys.caller_of(KEYS["bolt"]).user_id == "bolt"

    file.write_text(a_line("acme"))
    now[0] += 1
    assert keys.caller_of(KEYS["bolt"]) is None
    assert keys.caller_of(KEYS["acme"]).scopes == frozenset()

    file.rename(file.with_suffix(".away"))
    now[0] += 1
    with pytest.raises(OSError, match="cannot be used"):
        keys.caller_of(KEYS["acme"])

    file.with_suffix(".away").rename(file)
    now[0] += 1
    assert keys.caller_of(KEYS["acme"]).user_id == "acme"


async def test_while_the_file_cannot_be_used_a_key_gets_a_503(file, module, an_edge, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    async with an_edge(keyed()) as client:
        before = await client.get(PRODUCT, headers={"X-API-Key": KEYS["acme"]})
        file.write_text("nonsense")
        during = await client.get(PRODUCT, headers={"X-API-Key": KEYS["acme"]})
        file.write_text(a_line("acme"))
        after = await client.get(PRODUCT, headers={"X-API-Key": KEYS["acme"]})

    assert [one.status_code for one in (before, during, after)] == [200, 503, 200]


@pytest.mark.parametrize(
    "text",
    [None, "nonsense\n", "abc acme\n", a_line("acme").replace(" acme", ""), a_line("acme", "Edge Admin!"), "é\n"],
    ids=["absent", "nonsense", "short", "nobody", "scope", "no-ascii"],
)
def test_without_a_file_that_can_be_used_the_table_is_refused(module, tmp_path, text):
    if text is not None:
        (tmp_path / "keys").write_text(text)

    with pytest.raises(BadRoutes, match="'api-key' cannot be made"):
        snapshot_of(compiled(table_text(keyed())), "file")


def test_without_the_setting_too(module, monkeypatch):
    monkeypatch.delenv("KIRANA_PLUGIN_API_KEY_FILE")

    with pytest.raises(BadRoutes, match="KIRANA_PLUGIN_API_KEY_FILE must name"):
        snapshot_of(compiled(table_text(keyed())), "file")
