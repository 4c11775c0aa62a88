"""What ``--check`` of the benchmark of frames takes for a promise kept."""

import sys

import pytest

from benchmarks.promises import are_kept
from benchmarks.rpc import __main__, company, promises
from benchmarks.rpc.company import BesideASlowCall


def runs(*, clients=64, failed=0):
    """Frames are ten times as fast as the others, whose requests failed so often."""
    return {
        ("lanes", clients): [{"requests_per_second": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0, "failed": 0}],
        ("singles", clients): [{"requests_per_second": 100.0, "p50_ms": 10.0, "p99_ms": 20.0, "failed": failed}],
        ("stock", clients): [{"requests_per_second": 100.0, "p50_ms": 10.0, "p99_ms": 20.0, "failed": 0}],
    }


@pytest.mark.parametrize("clients", [1, 16, 64, 256])
def test_what_was_reached_by_requests_that_were_served_is_kept(clients):
    assert are_kept(promises.judged(runs(clients=clients)))


def test_a_run_of_which_requests_failed_keeps_nothing_and_says_so():
    told = promises.judged(runs(failed=3))

    assert not are_kept(told)
    assert all(str(promise).startswith("✗") and str(promise).endswith("; 3 requests failed") for promise in told)


def test_a_run_of_which_nothing_was_judged_keeps_nothing():
    told = promises.judged(runs(clients=7))

    assert told == []
    assert not are_kept(told)


@pytest.mark.parametrize(
    ("ratios", "overtaken", "is_kept"),
    [
        ([0.5, 1.0, 9.0], 3, True),
        ([0.5, 1.3, 1.3], 3, False),
        ([1.0, 1.0, 1.0], 2, False),
    ],
    ids=["not moved but once", "moved as a rule", "held up by the slow call once"],
)
def test_quick_calls_are_to_be_as_quick_beside_a_slow_one_and_to_come_before_it(ratios, overtaken, is_kept):
    assert are_kept(promises.judged_beside_a_slow_call(ratios, overtaken)) is is_kept


class NoServer:
    """In the place of whatever would be started."""

    url = ""

    def __init__(self, *_arguments, **_options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_fault):
        pass


@pytest.mark.parametrize(("milliseconds", "status"), [(10.0, None), (20.0, 1)])
def test_the_check_of_the_slow_call_ends_as_what_was_measured_says(milliseconds, status, monkeypatch, capsys):
    async def measured(_url, *, rounds):
        return BesideASlowCall([10.0] * rounds, [milliseconds] * rounds, rounds)

    monkeypatch.setattr(sys, "argv", ["rpc", "--check", "--slow-call"])
    monkeypatch.setattr(__main__, "Rabbit", NoServer)
    monkeypatch.setattr(__main__, "running", NoServer)
    monkeypatch.setattr(__main__, "end_on_sigterm", lambda: None)
    monkeypatch.setattr(company, "beside_a_slow_call", measured)

    ended = None
    try:
        __main__.main()
    except SystemExit as end:
        ended = end.code

    assert ended == status
    assert f"the p99 without it: {milliseconds / 10:.2f} (at most 1.25)" in capsys.readouterr().out


def test_what_is_not_judged_cannot_be_checked(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rpc", "--check", "--poison"])

    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == 2
    assert "--check judges" in capsys.readouterr().err
