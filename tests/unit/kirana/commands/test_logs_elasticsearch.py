"""Which log ``kirana logs`` reads, and what it does not ask Elasticsearch for. Nothing is asked here."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.commands.logs_elasticsearch import how_again, log_of
from kirana.logbook.spools import Archive, Together
from kirana.stack.faults import NotRunning, StackFault
from kirana.stack.state import StackState, save
from tests.builders.log_lines import served, write

URL = "http://search:9200"


@pytest.fixture(autouse=True)
def no_stack(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path / "no-stack"))
    for name in ("KIRANA_LOG_SPOOL", "KIRANA_ELASTICSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    write(folder, served(1.0))
    return folder


@pytest.fixture
def stack(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path))
    state = StackState(
        home=tmp_path,
        edge_url="",
        admin_username="",
        admin_password="",
        amqp="",
        management="",
        redis_carts=[],
        redis_edge="",
        postgres={},
        consul=None,
        smtp="",
    )
    save(state)
    return state


def kirana_logs(*arguments):
    return CliRunner().invoke(build_app(), ["logs", *map(str, arguments)])


def test_what_is_typed_comes_before_what_the_environment_says(folder, monkeypatch):
    monkeypatch.setenv("KIRANA_LOG_SPOOL", str(folder))
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", URL)

    assert isinstance(log_of(URL, [folder]), Archive), "of a spool that only the environment names"
    assert isinstance(log_of(None, [folder]), Together)


def test_elasticsearch_of_the_environment_is_asked_where_there_is_neither_spool_nor_stack(monkeypatch):
    with pytest.raises(NotRunning):
        log_of(None, None)

    monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", URL)

    assert isinstance(log_of(None, None), Archive)


def test_a_local_stack_whose_lines_are_shipped_is_read_from_its_spool(stack, monkeypatch):
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", URL)

    assert log_of(None, None) == stack.spool


def test_one_log_is_read_and_not_two(folder):
    done = kirana_logs("--elasticsearch", URL, "--spool", folder, "r-1")

    assert done.exit_code == 2
    assert "--spool" in done.stderr


@pytest.mark.parametrize(("option", "instead"), [(["--follow"], "kubectl logs -f"), (["--text", "deadlock"], "Kibana")])
def test_what_only_files_can_do_is_refused_with_what_to_do_instead(option, instead):
    done = kirana_logs("--elasticsearch", URL, *option)

    assert done.exit_code == 2
    assert instead in " ".join(done.stderr.replace("│", " ").split())


def test_settings_that_are_wrong_are_named_before_anything_is_asked(monkeypatch):
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_CA", "/no/such/file")

    with pytest.raises(StackFault) as told:
        log_of("search", None)

    assert str(told.value) == (
        "KIRANA_ELASTICSEARCH_URL: addresses such as https://elasticsearch:9200 are expected. "
        "KIRANA_ELASTICSEARCH_CA: there is no file /no/such/file."
    )


def test_what_is_suggested_asks_the_same_place():
    assert how_again("https://search:9200/a b", None) == "kirana logs --elasticsearch 'https://search:9200/a b'"
    assert how_again(None, [Path("/a")]) == "kirana logs --spool /a"


def test_help_shows_how_elasticsearch_is_asked_and_as_whom():
    told = kirana_logs("--help").stdout

    assert "kirana logs --elasticsearch https://localhost:9200 01a1fe39" in told
    assert "kirana_reader" in told
