import pytest

from edge.faults import BadRoutes
from edge.routes import compiled
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

TABLE = """
rates: {{browse: {{quota: 100, window: 60}}}}
routes:
  - name: get_product
    method: GET
    path: /api/products/{{product_id}}
    summary: One product
    tag: Catalogue
    call: catalog.get_product
    auth: none
    limits: {{address: browse}}
    access: {access}
    arguments: {{product_id: path}}
"""


def a_table(tmp_path, access):
    path = tmp_path / "routes.yaml"
    path.write_text(TABLE.format(access=access))
    return path


async def status(*, table=None, headers=None, path="/api/products/7", **settings):
    rpc = FakeRpc(get_product=a_product_answer())
    more = {} if table is None else {"routes": table}
    async with serving(collaborators(rpc, **settings), **more) as client:
        answer = await client.get(path, headers=headers)
    return answer.status_code, answer.json().get("code"), len(rpc.calls)


@pytest.mark.parametrize(
    "access",
    ["{deny: [127.0.0.0/8]}", "{deny: ['::ffff:127.0.0.0/104']}", "{allow: [192.0.2.0/24]}"],
)
async def test_a_route_turns_away_whom_its_lists_do_not_admit(tmp_path, access):
    assert await status(table=a_table(tmp_path, access)) == (403, "access.denied", 0)


@pytest.mark.parametrize(
    "access",
    ["{deny: [192.0.2.0/24]}", "{allow: [127.0.0.1/32]}", "{allow: [127.0.0.0/8], deny: [127.0.0.2/32]}"],
)
async def test_a_route_serves_whom_its_lists_admit(tmp_path, access):
    assert (await status(table=a_table(tmp_path, access)))[0] == 200


async def test_deny_wins_over_allow(tmp_path):
    table = a_table(tmp_path, "{allow: [127.0.0.0/8], deny: [127.0.0.1/32]}")

    assert (await status(table=table))[0] == 403


@pytest.mark.parametrize("path", ["/api/products/7", "/health/live", "/nowhere"])
async def test_whom_the_edge_denies_gets_nothing_anywhere(path):
    assert (await status(denied=("127.0.0.0/8",), path=path))[:2] == (403, "access.denied")


async def test_behind_a_trusted_proxy_it_is_the_client_who_is_judged(tmp_path):
    table = a_table(tmp_path, "{deny: [192.0.2.0/24]}")
    forwarded = {"X-Forwarded-For": "192.0.2.7"}

    assert (await status(table=table, headers=forwarded))[0] == 200
    assert (await status(table=table, headers=forwarded, trusted_proxies=("127.0.0.0/8",)))[0] == 403


@pytest.mark.parametrize(
    ("access", "pointer"),
    [
        ("{}", "/access"),
        ("{allow: []}", "/access"),
        ("{allow: [everybody]}", "/access/allow/0"),
        ("{deny: [192.0.2.0/24, 192.0.2.1/24]}", "/access/deny/1"),
        ("{dney: [192.0.2.0/24]}", "/access/dney"),
    ],
)
def test_lists_that_do_not_say_what_was_meant_never_start(access, pointer):
    with pytest.raises(BadRoutes) as bad:
        compiled(TABLE.format(access=access))

    assert any(fault.pointer.endswith(pointer) for fault in bad.value.faults)
