import pytest

from edge.live.current import LiveRoutes
from edge.metrics.table import TableState
from edge.pipeline import snapshot_of
from edge.routes import compiled
from edge.snapshot import hash_of
from tests.builders.tables import a_page, table_text

pytestmark = pytest.mark.anyio

FILE, GOOD, BAD = table_text(a_page()), table_text(a_page(summary="another")), table_text(a_page(auth="maybe"))


def samples(live):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in TableState(live).collect()
        for sample in family.samples
    }


async def test_the_table_in_force_and_the_refused_one_show():
    live = LiveRoutes(snapshot_of(compiled(FILE), "file"), compiling=snapshot_of)
    assert samples(live)["kirana_edge_routes_in_force", "file", hash_of(FILE)] == 1

    await live.follow(GOOD)
    await live.follow(BAD)

    seen = samples(live)
    assert seen["kirana_edge_routes_in_force", "consul", hash_of(GOOD)] == 1
    assert seen["kirana_edge_routes_refused",] == 1
    assert seen["kirana_edge_routes_offered_total", "taken"] == 1
    assert seen["kirana_edge_routes_offered_total", "refused"] == 1
    assert [name for name, *_ in seen].count("kirana_edge_routes_in_force") == 1
