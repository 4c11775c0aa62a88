import orjson
import pytest
import typer

from kirana.commands.logs import logs
from kirana.stack.state import StackState, save


@pytest.fixture
def spool(tmp_path, monkeypatch):
    state = StackState(
        home=tmp_path,
        edge_url="http://127.0.0.1:1",
        admin_username="admin",
        admin_password="x",
        amqp="amqp://127.0.0.1:1/kirana",
        management="http://127.0.0.1:1",
        redis_carts=[],
        redis_edge="",
        postgres={},
        consul=None,
        smtp="smtp://127.0.0.1:1",
    )
    save(state)
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path))
    state.spool.mkdir()
    return state.spool


def test_a_request_that_nobody_knows_is_said_to_be_unknown(spool, capsys):
    with pytest.raises(typer.Exit) as ended:
        logs(request="r-9")

    assert ended.value.exit_code == 1
    assert "No line of a request r-9" in capsys.readouterr().err


def test_a_quiet_shop_is_no_failure(spool, capsys):
    logs(service="order")

    said = capsys.readouterr()
    assert said.out == ""
    assert "10m" in said.err


def test_lines_of_a_known_request_are_shown_however_old(spool, capsys):
    line = {
        "@timestamp": "2020-01-01T00:00:00.000000Z",
        "message": "order.placed",
        "http": {"request": {"id": "r-1"}},
        "service": {"name": "order", "node": {"name": "order-1"}},
    }
    (spool / "order-1.jsonl").write_bytes(orjson.dumps(line) + b"\n")

    logs(request="r-1", as_json=True)

    assert orjson.loads(capsys.readouterr().out) == line
