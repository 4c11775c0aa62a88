import orjson
import pytest
import typer
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.commands.logs import logs
from kirana.stack.state import StackState, save
from tests.builders.log_lines import a_line, ran, served, write


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


ID = "01a1fe49-e2b6-71b3-bbc9-7dcf5b8214fe"
OTHER = "01a1fe49-e2b6-71b3-bbc9-000000000000"
LOCKED = "LockNotAvailable: canceling statement due to lock timeout"


def kirana_logs(*arguments, stdin=None):
    return CliRunner().invoke(build_app(), ["logs", *arguments], input=stdin)


@pytest.fixture
def failed(spool):
    """One request that failed in a service, one that did not, and a line of no request."""
    gone = {"code": "service.unavailable", "route": "place_order"}
    write(
        spool,
        a_line(
            -3.0, "rpc.breaker.changed", where="edge-1", request=None, level="warning", labels={"guarded": "catalog"}
        ),
        ran(1.8, "catalog.reserve_stock", request=ID, code="service.unavailable", labels={"reason": LOCKED}),
        served(2.0, 503, request=ID, labels=gone, **{"user.id": "user-1234567"}),
        served(4.0, 201, request=OTHER, span="o", took=3.0, labels={"route": "place_order"}),
    )
    return spool


@pytest.mark.parametrize(
    "given",
    [ID, ID.upper(), ID.replace("-", ""), ID[9:27], f' "{ID}",', f'{{"status": 503, "request_id": "{ID}"}}'],
    ids=["whole", "in capitals", "without hyphens", "a part", "with quotes", "a problem document"],
)
def test_the_reason_stands_in_the_first_lines_however_the_id_was_given(failed, given):
    first = kirana_logs(given).stdout.splitlines()[:3]

    assert "failed  503 service.unavailable  POST /api/orders" in first[0]
    assert LOCKED in first[1]
    assert "edge-1 → catalog-1 catalog.reserve_stock" in first[2]


def test_an_answer_with_its_head_will_do(failed):
    answer = f"HTTP/1.1 503 Service Unavailable\r\nX-Request-ID: {ID}\r\n\r\n"

    assert LOCKED in kirana_logs("-", stdin=answer).stdout


def test_a_part_that_several_ids_have_is_asked_back_with_what_each_was(failed):
    done = kirana_logs("01a1fe49")

    assert done.exit_code == 1
    assert f"logs {ID}   2026-11-21 10:00:02  POST /api/orders 503" in done.stderr
    assert f"logs {OTHER}" in done.stderr


@pytest.mark.parametrize(
    "typed", [ID[:-1] + "0", ID[:-1], ID[:20] + ID[21] + ID[20] + ID[22:]], ids=["wrong", "missing", "swapped"]
)
def test_a_slip_of_the_finger_is_answered_with_the_id_that_was_meant(failed, typed):
    done = kirana_logs(typed.replace(ID[:-1], ID[:-1] + "!") if typed == ID[:-1] else typed)

    assert done.exit_code == 1
    assert f"logs {ID}" in done.stderr


def test_an_id_from_before_the_oldest_line_is_said_to_be_too_old(failed):
    assert "its lines are gone" in kirana_logs("01900000-0000-7000-8000-000000000000").stderr


def test_what_went_on_meanwhile_is_shown_of_a_failure_only(failed):
    assert "rpc.breaker.changed" in kirana_logs(ID).stdout
    assert "rpc.breaker.changed" not in kirana_logs(OTHER).stdout


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        (["--status", "5xx"], [503]),
        (["--route", "place_order"], [503, 201]),
        (["--user", "user-123"], [503]),
        (["--slower", "2s"], [201]),
        (["--text", "SERVICE.unavailable"], []),
        (["--text", "service.unavailable", "--service", "edge"], [503]),
        (["--level", "info", "--service", "edge-1", "--until", "2026-11-21T10:00:03Z"], [None, 503]),
    ],
    ids=["status", "route", "user", "slower", "capitals", "text", "until"],
)
def test_only_what_is_asked_for_is_shown(failed, options, statuses):
    done = kirana_logs("--since", "2026-11-21T09:00:00Z", "--json", *options)

    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("http", {}).get("response", {}).get("status_code") for line in lines] == statuses


def test_failures_are_told_by_cause_with_the_reason_of_the_newest(failed):
    write(
        failed,
        served(5.0, 503, request="r-7", span="7", labels={"code": "service.unavailable", "route": "place_order"}),
    )

    done = kirana_logs("--errors", "--since", "2026-11-21T09:00:00Z", "--json")

    (cause,) = map(orjson.loads, done.stdout.splitlines())
    assert (cause["count"], cause["request"], cause["told"]) == (2, "r-7", "503 service.unavailable")


def test_an_edge_that_says_it_wants_no_requests_has_failed_nobody(failed):
    shown = kirana_logs("--errors", "--since", "2026-11-21T09:00:00Z", "--json").stdout
    write(failed, *(served(5.0 + n, 503, request=f"look-{n}", labels={"route": "serving"}) for n in range(9)))

    assert kirana_logs("--errors", "--since", "2026-11-21T09:00:00Z", "--json").stdout == shown


def test_the_slowest_come_first_with_where_the_time_went(failed):
    done = kirana_logs("--slow", "--since", "2026-11-21T09:00:00Z", "--json")

    first, second = map(orjson.loads, done.stdout.splitlines())
    assert (first["request"], first["took_ms"], first["where"]) == (OTHER, 3000, "in the edge")
    assert second["request"] == ID


def test_what_a_client_sent_cannot_command_the_terminal(spool):
    write(spool, served(2.0, 404, request=ID, **{"url.path": "/\x1b[2Jgone"}))

    shown = [kirana_logs(ID).stdout, kirana_logs("--since", "2026-11-21T09:00:00Z").stdout]

    assert all("\\u001b[2Jgone" in text and "\x1b" not in text for text in shown)


@pytest.mark.parametrize(
    "options",
    [
        ["--since", "soon"],
        ["--until", "5y"],
        ["--slower", "5"],
        ["--status", "6xx"],
        ["--level", "loud"],
        ["--trace", "zzz"],
        ["--since", "5m", "--until", "1h"],
        ["--until", "1h"],
        ["--errors", "--since", "5m", "--until", "1h"],
        ["--slow", "--until", "2h"],
        [ID, "--since", "5m", "--until", "1h"],
    ],
    ids=[
        *("since", "until", "slower", "status", "level", "trace", "backwards", "before the usual beginning"),
        *("failures backwards", "slowest before their beginning", "one request backwards"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_is_expected(spool, options):
    done = kirana_logs(*options)

    assert done.exit_code == 2
    assert "expected" in done.stderr


@pytest.mark.parametrize("options", [[], ["--errors"], ["--slow"]], ids=["lines", "errors", "slow"])
def test_who_said_how_far_to_look_is_not_told_to_look_as_far(failed, options):
    told = kirana_logs(*options, "--since", "1d", "--service", "cart").stderr
    untold = kirana_logs(*options, "--service", "cart").stderr

    assert "unless told otherwise" not in told
    assert "--since" not in told
    assert "The oldest line that is kept is of 2026-11-21T09:59:57." in told
    assert "unless told otherwise). To look further back: --since 1d" in untold


def test_an_empty_answer_says_until_when_it_looked(failed):
    said = kirana_logs("--since", "2026-11-20T09:00:00Z", "--until", "2026-11-20T10:00:00Z").stderr

    assert said.startswith("No such line since 2026-11-20 09:00:00 UTC and until 2026-11-20 10:00:00 UTC. ")


@pytest.mark.parametrize("stdin", ["", "\n"], ids=["nothing", "an empty line"])
def test_an_empty_input_is_said_to_be_empty(failed, stdin):
    done = kirana_logs("-", stdin=stdin)

    assert done.exit_code == 1
    assert done.stderr == "No id was given: standard input was empty.\n"


def test_a_trace_is_found_however_it_is_written(spool):
    trace = "0af7651916cd43dd8448eb211c80319c"
    write(spool, served(2.0, 200, request=ID, **{"trace.id": trace}))

    for typed in (trace, trace.upper(), f"{trace[:8]}-{trace[8:]}"):
        assert ID in kirana_logs("--since", "2026-11-21T09:00:00Z", "--trace", typed, "--json").stdout
