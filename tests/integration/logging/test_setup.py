"""The set-up job against both servers' ways, over HTTP."""

import os
import shutil
import socket
import ssl
import subprocess
import sys

import orjson
import pytest

from kirana.container_secrets import write
from shared.settings.reader import BadSettings
from shipper.setup import job
from shipper.setup.faults import NotAllowed, NotReady, NotTaken, SetupFault
from shipper.setup.outcomes import Done
from shipper.setup.server import Server
from shipper.setup.settings import FOLDER, Part, read_settings
from tests.fakes.elastic_admin import ADMIN, elastic_admin

ALL_OF_ELASTICSEARCH = [
    "lifecycle kirana-logs",
    "component template kirana-log-fields",
    "component template kirana-log-storage",
    "index template logs-kirana",
    "role kirana_shipper",
    "user kirana_shipper",
    "password of kibana_system",
]
ALL_OF_KIBANA = [
    "data view kirana-logs",
    "saved search kirana-request",
    "saved search kirana-errors",
    "saved search kirana-slow",
    "saved search kirana-parked",
    "saved search kirana-logins-refused",
    "dashboard kirana-shop",
    "role kirana_reader",
]


@pytest.fixture
def elastic():
    with elastic_admin() as elastic:
        yield elastic


def environment(elastic, **more):
    return {
        "KIRANA_ELASTICSEARCH_URL": elastic.url,
        "KIRANA_KIBANA_URL": elastic.url,
        "KIRANA_ELASTICSEARCH_ADMIN_PASSWORD": ADMIN[1],
        "KIRANA_ELASTICSEARCH_PASSWORD": "the shipper's",
        "KIRANA_KIBANA_PASSWORD": "kibana's own",
    } | more


def set_up(elastic, *parts, **more):
    settings = read_settings(environment(elastic, **more))
    return {outcome.name: outcome.done for outcome in job.run(settings, frozenset(parts or Part))}


def test_everything_is_made_in_an_order_in_which_no_line_comes_before_its_fields(elastic):
    done = set_up(elastic)

    assert list(done) == ALL_OF_ELASTICSEARCH + ALL_OF_KIBANA
    assert set(done.values()) == {Done.MADE, Done.CHANGED, Done.WRITTEN}
    assert elastic.state.passwords["kirana_shipper"] == "the shipper's"
    assert elastic.state.roles["kirana_shipper"] == ["kirana_shipper"]
    assert elastic.state.passwords["kibana_system"] == "kibana's own"


def test_a_second_run_changes_nothing_in_elasticsearch(elastic):
    set_up(elastic)
    elastic.state.changes.clear()

    again = set_up(elastic, Part.ELASTICSEARCH)

    assert set(again.values()) == {Done.NOTHING}
    assert elastic.state.changes == []


def test_a_second_run_leaves_one_of_each_in_kibana(elastic):
    set_up(elastic)
    before = dict(elastic.state.things)

    set_up(elastic)

    assert elastic.state.things == before


def test_changed_fields_are_put_and_each_stream_begins_a_new_index(elastic, tmp_path):
    set_up(elastic)
    elastic.state.streams = ["logs-kirana.edge-local", "logs-kirana.order-local"]
    elastic.state.changes.clear()
    folder = shutil.copytree(FOLDER, tmp_path / "logging")
    fields = folder / "elasticsearch" / "fields.json"
    fields.write_bytes(fields.read_bytes() + b"\n")

    done = set_up(elastic, Part.ELASTICSEARCH, KIRANA_LOGGING_FOLDER=str(folder))

    assert done["component template kirana-log-fields"] is Done.CHANGED
    assert done["component template kirana-log-storage"] is Done.NOTHING
    assert elastic.state.changes == [
        "PUT /_component_template/kirana-log-fields",
        "POST /logs-kirana.edge-local/_rollover?lazy=true",
        "POST /logs-kirana.order-local/_rollover?lazy=true",
    ]


def test_a_changed_lifecycle_begins_no_new_index(elastic, tmp_path):
    set_up(elastic)
    elastic.state.streams = ["logs-kirana.edge-local"]
    folder = shutil.copytree(FOLDER, tmp_path / "logging")
    lifecycle = folder / "elasticsearch" / "lifecycle.json"
    lifecycle.write_bytes(lifecycle.read_bytes().replace(b'"30d"', b'"90d"'))
    elastic.state.changes.clear()

    set_up(elastic, Part.ELASTICSEARCH, KIRANA_LOGGING_FOLDER=str(folder))

    assert elastic.state.changes == ["PUT /_ilm/policy/kirana-logs"]
    assert elastic.state.things["/_ilm/policy/kirana-logs"]["policy"]["phases"]["delete"]["min_age"] == "90d"


def test_a_changed_password_is_set_and_nothing_else(elastic):
    set_up(elastic)
    elastic.state.changes.clear()

    set_up(elastic, Part.ELASTICSEARCH, KIRANA_ELASTICSEARCH_PASSWORD="another one")

    assert elastic.state.changes == ["PUT /_security/user/kirana_shipper"]
    assert elastic.state.passwords["kirana_shipper"] == "another one"


def test_a_shipper_that_was_given_more_rights_is_put_right(elastic):
    set_up(elastic)
    elastic.state.roles["kirana_shipper"] = ["superuser"]

    done = set_up(elastic, Part.ELASTICSEARCH)

    assert done["user kirana_shipper"] is Done.CHANGED
    assert elastic.state.roles["kirana_shipper"] == ["kirana_shipper"]


def test_servers_that_still_start_are_waited_for(elastic, monkeypatch):
    monkeypatch.setattr("shipper.setup.server.LOOK_SECONDS", 0.01)
    elastic.state.ailing = [
        (503, {"error": {"type": "cluster_block_exception"}}),
        (200, {"status": "red"}),
    ]
    assert "index template logs-kirana" in set_up(elastic, Part.ELASTICSEARCH)

    elastic.state.ailing = [
        (503, b"Kibana server is not ready yet"),
        (200, {"status": {"overall": {"level": "degraded"}}}),
    ]
    assert "dashboard kirana-shop" in set_up(elastic, Part.KIBANA)


def test_a_server_that_is_not_there_is_given_up_in_time_and_named():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = Server("Elasticsearch", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(NotReady, match=r"Elasticsearch at .* is not ready after 0 s: .*reached") as told:
            server.wait("/_cluster/health", bool, patience=0)
    server.close()
    assert "see that it runs" in told.value.mend


def test_a_wrong_password_is_said_at_once_with_what_to_do(elastic):
    with pytest.raises(NotAllowed, match="401") as told:
        set_up(elastic, KIRANA_ELASTICSEARCH_ADMIN_PASSWORD="wrong")

    assert "KIRANA_ELASTICSEARCH_ADMIN_PASSWORD_FILE" in told.value.mend
    assert elastic.state.changes == []


def test_a_refusal_is_told_in_the_servers_words(elastic):
    def refuse_the_lifecycle(method, path, *rest, ask=elastic.state.answer):
        if (method, path) == ("PUT", "/_ilm/policy/kirana-logs"):
            return 400, {"error": {"reason": "unknown field [phase]"}}
        return ask(method, path, *rest)

    elastic.state.answer = refuse_the_lifecycle

    with pytest.raises(NotTaken, match=r"400 to PUT /_ilm/policy/kirana-logs.*unknown field \[phase\]"):
        set_up(elastic)


def test_saved_searches_that_kibana_did_not_take_are_a_fault(elastic):
    elastic.state.refused_import = True

    with pytest.raises(NotTaken, match="kirana-request"):
        set_up(elastic, Part.KIBANA)


def test_without_security_no_user_and_no_role_is_made(elastic):
    elastic.state.is_secure = False

    done = set_up(elastic, KIRANA_ELASTICSEARCH_ADMIN_PASSWORD="")

    assert [name for name in done if name.startswith(("role", "user", "password"))] == []
    assert len(done) == 4 + 7


def test_an_address_that_is_no_server_of_theirs_is_a_fault_in_plain_words(elastic):
    elastic.state.ailing = [(200, b"<html>hello</html>")]

    with pytest.raises(SetupFault, match="no JSON"):
        set_up(elastic)


def test_a_certificate_of_nobody_we_know_is_refused_with_the_setting_that_mends_it(tmp_path):
    write(tmp_path / "ours")
    write(tmp_path / "others")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ours" / "elasticsearch.crt", tmp_path / "ours" / "elasticsearch.key")
    with elastic_admin(context) as elastic:
        ours, others = (str(tmp_path / whose / "elastic_ca.crt") for whose in ("ours", "others"))
        assert "index template logs-kirana" in set_up(elastic, Part.ELASTICSEARCH, KIRANA_ELASTICSEARCH_CA=ours)

        with pytest.raises(SetupFault, match="do not trust") as told:
            set_up(elastic, Part.ELASTICSEARCH, KIRANA_ELASTICSEARCH_CA=others)
    assert "KIRANA_ELASTICSEARCH_CA" in told.value.mend


def test_wrong_settings_are_all_named_before_anything_is_asked(elastic, tmp_path):
    wrong = {
        "KIRANA_LOGGING_FOLDER": str(tmp_path),
        "KIRANA_ELASTICSEARCH_CA": "/no/such/file",
        "KIRANA_KIBANA_URL": "x",
    }

    with pytest.raises(BadSettings) as told:
        read_settings(environment(elastic, **wrong))

    assert all(name in str(told.value) for name in wrong)


def run_job(elastic, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "shipper.setup", *arguments],
        env=os.environ | environment(elastic, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_containers_job_tells_each_thing_and_ends_well(elastic):
    done = run_job(elastic, "elasticsearch")

    assert done.returncode == 0, done.stderr
    assert [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()] == ALL_OF_ELASTICSEARCH


def test_the_containers_job_says_what_to_mend_without_a_stack_trace_or_a_secret(elastic):
    done = run_job(elastic, KIRANA_ELASTICSEARCH_ADMIN_PASSWORD="a wrong secret")

    assert done.returncode == 1
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "a wrong secret" not in done.stderr + done.stdout


def test_no_password_shows_when_settings_are_printed(elastic):
    settings = read_settings(environment(elastic))

    for secret in (ADMIN[1], "the shipper's", "kibana's own"):
        assert secret not in repr(settings)


def test_the_digest_of_a_file_stands_in_what_is_put(elastic):
    set_up(elastic)

    policy = elastic.state.things["/_ilm/policy/kirana-logs"]["policy"]
    assert len(policy["_meta"]["kirana_digest"]) == 16
    assert "_meta" not in orjson.loads((FOLDER / "elasticsearch" / "lifecycle.json").read_bytes())["policy"]
