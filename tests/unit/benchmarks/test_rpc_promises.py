"""What ``--check`` of the benchmark of frames takes for a promise kept."""

import sys

import pytest

from benchmarks.rpc import promises
from benchmarks.rpc.__main__ import main


def runs(*, clients=64, failed=0):
    """Frames are ten times as fast as the others, whose requests failed so often."""
    return {
        ("lanes", clients): [{"requests_per_second": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0, "failed": 0}],
        ("singles", clients): [{"requests_per_second": 100.0, "p50_ms": 10.0, "p99_ms": 20.0, "failed": failed}],
        ("stock", clients): [{"requests_per_second": 100.0, "p50_ms": 10.0, "p99_ms": 20.0, "failed": 0}],
    }


@pytest.mark.parametrize("clients", [1, 16, 64, 256])
def test_what_was_reached_by_requests_that_were_served_is_kept(clients):
    assert promises.are_kept(promises.judged(runs(clients=clients)))


def test_a_run_of_which_requests_failed_keeps_nothing_and_says_so():
    told = promises.judged(runs(failed=3))

    assert not promises.are_kept(told)
    assert all(str(promise).startswith("✗") and str(promise).endswith("; 3 requests failed") for promise in told)


def test_a_run_of_which_nothing_was_judged_keeps_nothing():
    told = promises.judged(runs(clients=7))

    assert told == []
    assert not promises.are_kept(told)


@pytest.mark.parametrize("other", ["--slow-call", "--poison"])
def test_what_is_not_judged_cannot_be_checked(other, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rpc", "--check", other])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "--check judges" in capsys.readouterr().err
