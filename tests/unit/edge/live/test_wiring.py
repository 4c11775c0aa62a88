import pytest

from edge.live.current import LiveRoutes
from edge.pipeline import snapshot_of
from edge.routes import compiled
from edge.settings import Settings
from edge.worker import make_worker
from tests.builders.tables import a_page, table_text

pytestmark = pytest.mark.anyio

FILE, KEPT = table_text(a_page()), table_text(a_page(summary="kept"))


@pytest.mark.parametrize(
    ("consul_url", "origin"),
    [("http://127.0.0.1:1", "kept"), (None, "file")],
    ids=["with Consul", "without"],
)
async def test_a_worker_begins_with_the_last_good_table_where_there_is_a_consul_to_correct_it(
    tmp_path, consul_url, origin
):
    (tmp_path / "kept").write_text(KEPT)
    settings = Settings(
        amqp_url="amqp://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        cursor_secret="s" * 32,
        consul_url=consul_url,
        routes_kept=tmp_path / "kept",
    )
    live = LiveRoutes(snapshot_of(compiled(FILE), "file"), compiling=snapshot_of)

    make_worker(settings).serve_by(live)

    assert live.snapshot.version.origin == origin
