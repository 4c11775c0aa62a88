"""``kirana logs --spool``: the log of containers, or of copied files, where no local stack ever was."""

import orjson
import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from tests.builders.log_lines import ran, served, write

ID = "01a1fe49-e2b6-71b3-bbc9-7dcf5b8214fe"
LOCKED = "LockNotAvailable: canceling statement due to lock timeout"


@pytest.fixture(autouse=True)
def no_stack(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path / "no-stack"))


@pytest.fixture
def pods(tmp_path):
    """One request, of which the edge's lines lie in one folder and the service's in another."""
    edge, catalog = tmp_path / "edge", tmp_path / "catalog"
    edge.mkdir()
    catalog.mkdir()
    write(edge, served(2.0, 503, request=ID, labels={"code": "service.unavailable", "route": "place_order"}))
    run = ran(1.8, "catalog.reserve_stock", request=ID, code="service.unavailable", labels={"reason": LOCKED})
    write(catalog, run)
    return edge, catalog


def kirana_logs(*arguments, **environment):
    return CliRunner().invoke(build_app(), ["logs", *map(str, arguments)], env=environment)


def told_by(*arguments):
    """What the fault says that ends the command, with its cause and its mend."""
    fault = kirana_logs(*arguments).exception
    assert type(fault).__name__ == "StackFault", fault
    return str(fault), fault.cause, fault.mend


def test_folders_are_read_as_one_and_no_stack_is_needed(pods):
    edge, catalog = pods

    done = kirana_logs("--spool", edge, "--spool", catalog, ID)

    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()
    assert "failed  503 service.unavailable" in first[0]
    assert LOCKED in first[1]
    assert "edge-1 → catalog-1 catalog.reserve_stock" in first[2]


@pytest.mark.parametrize("given", [[ID[:-1] + "0"], ["--errors", "--since", "2026-11-21"]], ids=["near", "errors"])
def test_what_is_suggested_reads_the_same_folders(pods, tmp_path, given):
    blank = tmp_path / "of the edge"
    pods[0].rename(blank)

    done = kirana_logs("--spool", blank, "--spool", pods[1], *given)

    assert f"logs --spool '{blank}' --spool {pods[1]} I" in done.stderr.replace(ID, "ID"), done.output


def test_what_is_suggested_does_not_repeat_what_the_environment_says(pods):
    done = kirana_logs(ID[:-1] + "0", KIRANA_LOG_SPOOL=":".join(map(str, pods)))

    assert f"logs {ID}" in done.stderr, done.output


def test_a_folder_that_is_named_twice_is_read_once(pods):
    edge, _ = pods

    done = kirana_logs("--spool", edge, "--spool", edge / ".." / "edge", "--json", ID)

    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--errors"], "service.unavailable"),
        (["--slow"], "POST /api/orders in edge-1"),
        (["--status", "5xx"], "place_order"),
    ],
    ids=["errors", "slow", "status"],
)
def test_whatever_can_be_asked_of_a_stack_can_be_asked_of_folders(pods, options, expected):
    edge, catalog = pods

    done = kirana_logs("--spool", edge, "--spool", catalog, "--since", "2026-11-21T09:00:00Z", *options)

    assert expected in done.stdout, done.output


def test_in_a_container_its_own_spool_is_read_unless_another_one_is_named(pods):
    edge, catalog = pods

    own = kirana_logs("--json", ID, KIRANA_LOG_SPOOL=str(edge))
    named = kirana_logs("--json", "--spool", str(catalog), ID, KIRANA_LOG_SPOOL=str(edge))

    wrote = [orjson.loads(done.stdout)["service"]["name"] for done in (own, named)]
    assert wrote == ["edge", "catalog"]


def test_a_folder_that_is_not_there_is_said_not_to_be_there(tmp_path):
    assert told_by("--spool", tmp_path / "gone", ID)[0] == f"There is no folder {tmp_path / 'gone'}."


def test_for_a_file_its_folder_is_proposed(pods):
    edge, _ = pods

    said, _, mend = told_by("--spool", edge / "edge-1.jsonl", ID)

    assert "is no folder" in said
    assert mend == f"kirana logs --spool {edge}"


def test_an_empty_folder_is_no_log(tmp_path):
    (tmp_path / "notes.txt").write_text("none")

    said, cause, _ = told_by("--spool", tmp_path, ID)

    assert "There is no log in" in said
    assert "no process writes to it" in cause


def test_for_the_home_of_a_stack_its_spool_is_proposed(tmp_path):
    (tmp_path / "spool").mkdir()

    assert told_by("--spool", tmp_path)[2] == f"kirana logs --spool {tmp_path / 'spool'}"


def test_one_file_that_cannot_be_read_is_named_rather_than_left_out(pods):
    edge, _ = pods
    (edge / "order-1.jsonl").mkdir()  # whoever may read everything cannot read this, either

    said, _, _ = told_by("--spool", edge, ID)

    assert f"{edge / 'order-1.jsonl'} cannot be read" in said


def test_help_shows_how_copies_are_read():
    assert "kirana logs --spool a --spool b" in kirana_logs("--help").stdout
