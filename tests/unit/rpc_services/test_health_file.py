import os
import subprocess
import sys
import time

import pytest

from rpc_services.health_file import STALE_SECONDS, complaint_about, write_report

WELL = {"broker": "ok", "database": "ok"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "health.json"


def healthy(path):
    return asked("healthy", path)


def asked(question, path):
    return subprocess.run(
        [sys.executable, "-m", "rpc_services", question],
        env=os.environ | {"KIRANA_HEALTH_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fresh_report_that_all_is_well_is_no_cause_for_complaint(path):
    write_report(path, ok=True, dependencies=WELL)

    assert complaint_about(path, now=time.time()) == ""


def test_an_old_report_counts_as_ill(path):
    write_report(path, ok=True, dependencies=WELL)

    assert "old" in complaint_about(path, now=time.time() + STALE_SECONDS)


def test_the_complaint_names_the_dependency_that_is_away(path):
    write_report(path, ok=False, dependencies=WELL | {"broker": "ConnectionError"})

    assert "broker: ConnectionError" in complaint_about(path, now=time.time())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"ok": true, "dependencies": 1}'])
def test_a_broken_report_counts_as_ill(path, text):
    path.write_text(text)

    assert "no report" in complaint_about(path, now=time.time())


def test_a_new_report_takes_the_place_of_the_last_and_leaves_nothing_beside_it(path):
    write_report(path, ok=False, dependencies=WELL)
    write_report(path, ok=True, dependencies=WELL)

    assert complaint_about(path, now=time.time()) == ""
    assert list(path.parent.iterdir()) == [path]


def test_the_command_tells_well_from_ill_by_its_exit_status(path):
    absent = healthy(path)
    write_report(path, ok=True, dependencies=WELL)
    well = healthy(path)

    assert (absent.returncode, well.returncode) == (1, 0)
    assert "no report" in absent.stderr
    assert well.stderr == ""


def test_without_a_place_to_look_nothing_is_healthy():
    assert healthy("").returncode == 1


def test_a_process_whose_database_is_away_is_alive(path):
    write_report(path, ok=False, dependencies=WELL | {"database": "OperationalError"})

    assert asked("alive", path).returncode == 0


def test_a_process_that_has_stopped_to_report_is_not_alive(path):
    write_report(path, ok=True, dependencies=WELL)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))

    done = asked("alive", path)

    assert (done.returncode, "s old" in done.stderr) == (1, True)


def test_a_process_that_has_never_reported_is_not_alive(path):
    assert asked("alive", path).returncode == 1
