"""Lines that a shipper brought are found by ``kirana logs`` when the processes and their spools are gone."""

import socket
import ssl
from datetime import timedelta

import orjson
import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.container_secrets import write as write_secrets
from kirana.logbook import Query
from kirana.logbook.elastic import ElasticArchive, archive_at
from shipper.elastic import connect
from shipper.settings import Destination
from tests.builders.elasticsearch import Elasticsearch
from tests.builders.log_lines import BEGIN, a_line, handled, ran, served, write
from tests.builders.shippers import Nursery
from tests.fakes.elastic_admin import elastic_admin

ID = "01a1fe49-e2b6-71b3-bbc9-7dcf5b8214fe"
OTHER = "01a1fe49-e2b6-71b3-bbc9-000000000000"
LOCKED = "LockNotAvailable: canceling statement due to lock timeout"
SINCE = ("--since", "2026-11-21T09:00:00Z")
GONE = {"code": "service.unavailable", "route": "place_order"}
LINES = (
    a_line(-3.0, "rpc.breaker.changed", where="edge-1", request=None, level="warning", labels={"guarded": "catalog"}),
    a_line(-2.9, "order.cart_read", request=None),
    served(0.5, 503, request=["r-8", "r-9"], span="t", labels={"route": "serving"}, level="warning"),
    ran(1.8, "catalog.reserve_stock", request=ID, code="service.unavailable", parent="o", labels={"reason": LOCKED}),
    a_line(1.8, "order.held", request=ID, span="o", parent="e"),
    a_line(1.8, "order.let_go", request=ID, span="o", parent="e", labels={"redelivered": True}),
    ran(1.9, "order.place_order", request=ID, code="service.unavailable", span="o"),
    served(2.0, 503, request=ID, labels=GONE, level="warning", **{"user.id": "user-1234567"}),
    served(4.0, 201, request=OTHER, span="x", took=3.0, labels={"route": "place_order"}),
    handled(5.0, "order.placed", request=OTHER, fault="SMTPException", parent="x"),
)


def shipped(line):
    """As a process would write it that says of which data set it is."""
    service = line["service"] | {"environment": "local"}
    event = line["event"] | {"dataset": f"kirana.{service['name']}"}
    return line | {"service": service, "event": event}


@pytest.fixture(scope="module")
def spool(tmp_path_factory):
    spool = tmp_path_factory.mktemp("spool")
    write(spool, *map(shipped, LINES))
    return spool


@pytest.fixture(scope="module")
def elasticsearch(spool):
    with Elasticsearch() as server, Nursery(spool, server.url) as nursery:
        nursery.start_and_wait()
        nursery.drain()
        assert server.told()["stored"] == len(LINES)
        yield server


@pytest.fixture(autouse=True)
def no_stack(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path / "no-stack"))
    for name in ("KIRANA_LOG_SPOOL", "KIRANA_ELASTICSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def well(elasticsearch):
    yield
    elasticsearch.misbehave()
    assert elasticsearch.told()["open_points"] == 0, "what was opened is closed"


def kirana_logs(*arguments, **environment):
    return CliRunner().invoke(build_app(), ["logs", *map(str, arguments)], env=environment)


def asked(server, *arguments, **environment):
    return kirana_logs("--elasticsearch", server.url, *arguments, **environment)


def told_by(*arguments, **environment):
    """The fault that ends the command, in its own words."""
    fault = kirana_logs(*arguments, **environment).exception
    assert type(fault).__name__ == "StackFault", fault
    assert "\n" not in str(fault)
    return str(fault), fault.mend


def test_a_failed_request_is_found_by_its_id_with_the_reason_in_the_first_lines(elasticsearch):
    done = asked(elasticsearch, ID)

    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()
    assert "failed  503 service.unavailable  POST /api/orders" in first[0]
    assert LOCKED in first[1]
    assert "edge-1 → order-1 order.place_order → catalog-1 catalog.reserve_stock" in first[2]


def test_for_a_whole_id_not_all_ids_are_looked_through(elasticsearch):
    before = len(elasticsearch.told()["searches"])

    asked(elasticsearch, ID)
    asked(elasticsearch, ID[:-1] + "1")
    whole = elasticsearch.told()["searches"][before:]
    asked(elasticsearch, ID[:-1])

    assert "wildcard" not in str(whole)
    assert "wildcard" in str(elasticsearch.told()["searches"][-2:])


@pytest.mark.parametrize(
    "options",
    [
        [ID], [ID, "--json"], [ID, "--lines"], [ID, "--traces"], [ID.replace("-", "").upper()], [OTHER], ["r-9"],
        ["e2b6-71b3-bbc9-7d"], ["01a1fe49"], ["0" * 31 + "1"],
        ["--errors"], ["--slow"], ["--slow", "--route", "place_order", "--json"], ["--status", "5xx"],
        ["--service", "order"], ["--level", "warning", "--json"], ["--user", "user-1234"], ["--slower", "2s"],
        ["--route", "catalog.reserve_stock", "--json"], ["--trace", "0" * 31 + "1"],
        ["--until", "2026-11-21T10:00:01Z"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_elasticsearch_tells_what_the_spool_tells(elasticsearch, spool, options):
    times = () if options[0][0] != "-" else SINCE

    read = kirana_logs("--spool", spool, *options, *times)
    asked_for = asked(elasticsearch, *options, *times)

    assert (asked_for.exit_code, asked_for.stdout) == (read.exit_code, read.stdout)
    assert asked_for.stderr.replace(f"--elasticsearch {elasticsearch.url}", "") == read.stderr.replace(
        f"--spool {spool}", ""
    )
    assert read.output


def test_where_there_is_no_other_log_the_environment_names_elasticsearch(elasticsearch):
    assert LOCKED in kirana_logs(ID, KIRANA_ELASTICSEARCH_URL=elasticsearch.url).stdout


def test_an_id_that_is_not_there_is_said_not_to_be_there_with_what_is(elasticsearch):
    unknown, old = asked(elasticsearch, OTHER[:-1] + "1"), asked(elasticsearch, "01900000-0000-7000-8000-000000000000")

    assert unknown.exit_code == old.exit_code == 1
    assert "No line of a request" in unknown.stderr
    assert "some ten seconds late" in unknown.stderr
    assert "The oldest line that is kept is of 2026-11-21T09:59:57" in old.stderr


def test_more_lines_than_one_answer_has_come_each_once_and_in_order(tmp_path):
    lines = [a_line(number / 5_000, f"order.step_{number}", request="r-1") for number in range(2_500)]
    write(tmp_path, *map(shipped, lines))
    with Elasticsearch() as server, Nursery(tmp_path, server.url) as nursery:
        nursery.start_and_wait()
        nursery.drain()

        found = list(archive_at(Destination((server.url,))).found(Query(request="r-1")))

        assert [line["message"] for line in found] == [line["message"] for line in lines]
        assert len(server.told()["searches"]) == 3
        assert server.told()["open_points"] == 0

        few = ElasticArchive(
            connect(Destination((server.url,)), connections=1), Destination((server.url,)), most_lines=1_000
        )
        assert len(list(few.found(Query(since=BEGIN - timedelta(hours=1))))) == 1_000
        assert "first 1,000 lines" in few.shortfalls[0]


def test_shards_that_fail_are_told_of_beside_what_was_found(elasticsearch):
    elasticsearch.misbehave(failed_shards=1)

    done = asked(elasticsearch, ID)

    assert LOCKED in done.stdout
    assert done.stderr.count("1 of 4 shards failed") == 1


@pytest.mark.parametrize(
    ("fault", "said", "mend"),
    [
        ("unauthorised", "(401)", "KIRANA_ELASTICSEARCH_PASSWORD_FILE"),
        ("forbidden", "(403): action [indices:data/read/open_point_in_time]", "kirana_reader"),
        ("unavailable", "answered 503", "once more"),
        ("no_product", "is no Elasticsearch", "--elasticsearch"),
    ],
)
def test_a_refusal_is_one_line_with_what_to_do(elasticsearch, fault, said, mend):
    elasticsearch.misbehave(fault)

    told, next_step = told_by("--elasticsearch", elasticsearch.url, ID)

    assert said in told
    assert mend in next_step


def test_a_server_that_says_nothing_is_given_up_in_time(elasticsearch):
    elasticsearch.misbehave("search_hang")

    told, next_step = told_by("--elasticsearch", elasticsearch.url, ID, KIRANA_ELASTICSEARCH_TIMEOUT="1")

    assert "did not answer within 1 s" in told
    assert "KIRANA_ELASTICSEARCH_TIMEOUT" in next_step


def test_an_address_where_nobody_is_is_named():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

        told, next_step = told_by("--elasticsearch", url, ID)

    assert f"{url} cannot be reached" in told
    assert "port-forward" in next_step


def test_of_several_addresses_one_that_answers_is_enough(elasticsearch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        urls = f"http://127.0.0.1:{closed.getsockname()[1]},{elasticsearch.url}"

        for _ in range(2):  # whichever of them is asked first
            assert LOCKED in kirana_logs("--elasticsearch", urls, ID).stdout


def test_an_elasticsearch_without_our_streams_is_said_to_have_none():
    with Elasticsearch() as empty:
        told, next_step = told_by("--elasticsearch", empty.url, ID)

    assert "has no data stream logs-kirana.*-*" in told
    assert "_data_stream" in next_step


def test_a_key_lets_one_in():
    with Elasticsearch(key="a key") as server:
        told, _ = told_by("--elasticsearch", server.url, ID)
        with_key, _ = told_by("--elasticsearch", server.url, ID, KIRANA_ELASTICSEARCH_API_KEY="a key")

    assert "(401)" in told
    assert "has no data stream" in with_key


def test_a_certificate_of_nobody_we_know_is_refused_with_the_setting_that_mends_it(tmp_path):
    for whose in ("ours", "others"):
        write_secrets(tmp_path / whose)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ours" / "elasticsearch.crt", tmp_path / "ours" / "elasticsearch.key")
    with elastic_admin(context) as elastic:
        authority = str(tmp_path / "others" / "elastic_ca.crt")
        told, next_step = told_by("--elasticsearch", elastic.url, ID, KIRANA_ELASTICSEARCH_CA=authority)

    assert "not one that we trust" in told
    assert "KIRANA_ELASTICSEARCH_CA" in next_step


def test_lines_are_given_to_scripts_as_they_were_written(elasticsearch, spool):
    told = [orjson.loads(line) for line in asked(elasticsearch, ID, "--json").stdout.splitlines()]

    assert told == [line for line in map(shipped, LINES) if line.get("http", {}).get("request", {}).get("id") == ID]
