import httpx
import pytest

from kirana.deploying import watching
from kirana.deploying.watching import Policy, Tally, Watch, complaint_about, hang_of, tally_of

POLICY = Policy(errors=0.01, seconds=1)
COUNTS = {"answered": 5, "refused": 2, "failed": 3, "not_executed": 4, "unknown": 4}


@pytest.mark.parametrize(
    ("canary", "main", "is_bad"),
    [
        (Tally(100, 0), Tally(900, 0), False),
        (Tally(100, 1), Tally(900, 0), False),
        (Tally(100, 2), Tally(900, 0), True),
        (Tally(19, 19), Tally(900, 0), False),
        (Tally(20, 1), Tally(0, 0), True),
        (Tally(100, 20), Tally(900, 90), False),
        (Tally(100, 21), Tally(900, 90), True),
        (Tally(30, 30), Tally(900, 900), False),
    ],
    ids=[
        "well",
        "within",
        "above",
        "too-few",
        "nothing-beside",
        "as-bad-as-before",
        "worse-than-before",
        "database-away",
    ],
)
def test_a_version_is_bad_when_it_fails_more_than_allowed_and_more_than_the_one_before(canary, main, is_bad):
    assert bool(complaint_about(canary, main, POLICY)) == is_bad


def test_what_an_edge_answers_with_500_and_above_is_its_fault_and_a_refusal_is_not():
    text = "\n".join(
        [
            "# TYPE kirana_edge_request_seconds histogram",
            *(
                f'kirana_edge_request_seconds_{part}{{route="r",method="GET",status="{status}"{more}}} {count}'
                for status, count in (("200", 7), ("404", 2), ("500", 1), ("503", 3))
                for part, more in (("bucket", ',le="+Inf"'), ("count", ""), ("sum", ""))
            ),
            "",
        ]
    )

    assert tally_of(text) == Tally(13, 4)


def test_what_a_service_gives_no_answer_to_is_its_fault_and_a_refusal_is_not():
    text = "\n".join(
        [
            "# TYPE kirana_rpc_run_seconds histogram",
            *(
                f'kirana_rpc_run_seconds_{part}{{service="s",method="m",outcome="{outcome}"{more}}} {count}'
                for outcome, count in COUNTS.items()
                for part, more in (("bucket", ',le="+Inf"'), ("count", ""), ("sum", ""))
            ),
            "",
        ]
    )

    assert tally_of(text) == Tally(18, 11)


def test_a_process_that_began_anew_counts_from_nothing():
    assert Tally(3, 1).since(Tally(100, 0)) == Tally(3, 1)
    assert Tally(103, 2).since(Tally(100, 1)) == Tally(3, 1)


def test_only_calls_that_a_service_runs_itself_are_under_way_in_it():
    lines = ["# TYPE kirana_rpc_in_flight gauge"]
    lines += [f'kirana_rpc_in_flight{{service="s",side="{side}"}} {n}' for side, n in (("server", 7), ("caller", 2))]

    assert tally_of("\n".join([*lines, ""])) == Tally(under_way=7)


def test_what_is_under_way_is_told_as_it_is_now_whatever_came_before():
    assert Tally(3, 1, 5).since(Tally(1, 1, 4)) == Tally(2, 0, 5)
    assert Tally(3, 1, 5) + Tally(1, 1, 4) == Tally(4, 2, 9)


@pytest.mark.parametrize(
    ("canary", "main", "complaint"),
    [
        (Tally(0, 0, 3), Tally(900, 0, 1), "3 calls are under way in the new version and none has ended"),
        (Tally(2, 2, 3), Tally(0, 0), "3 calls are under way in the new version and all 2 that ended failed"),
        (Tally(2, 1, 3), Tally(900, 0), ""),
        (Tally(0, 0), Tally(900, 0), ""),
        (Tally(2, 2), Tally(900, 0), ""),
        (Tally(0, 0, 3), Tally(0, 0, 3), ""),
        (Tally(0, 0, 3), Tally(40, 40), ""),
    ],
    ids=["hangs", "runs-out-of-time", "one-was-well", "quiet", "none-under-way", "both-hang", "both-fail"],
)
def test_a_version_hangs_when_it_has_calls_and_none_ends_well_but_the_old_ones_do(canary, main, complaint):
    assert hang_of(canary, main) == complaint


@pytest.fixture
def clock(monkeypatch):
    """Time passes only by waiting."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


def judged(monkeypatch, clock, canary, policy, answers=lambda _: True):
    """The verdict on a version that tells this, by the seconds since the watch began, and how long that took."""
    began = clock.now
    tallies = {"canary": lambda: canary(clock.now - began), "main": lambda: Tally(900 + int(clock.now), 0)}
    monkeypatch.setattr(watching, "tally_at", lambda url: tallies[url]())
    watch = Watch("canary", ["main"], is_well=lambda: "")
    verdict = watch.judge(policy, meanwhile=lambda: answers(clock.now - began), heard=lambda _: None)
    return verdict.complaint, clock.now - began


def test_a_version_that_hangs_is_bad_at_the_end_of_the_watch_and_of_a_long_one_before(monkeypatch, clock):
    complaint = "4 calls are under way in the new version and none has ended"

    assert judged(monkeypatch, clock, lambda _: Tally(7, 0, 4), Policy(0.01, 5.0)) == (complaint, 5.0)
    assert judged(monkeypatch, clock, lambda _: Tally(7, 0, 4), Policy(0.01, 60.0)) == (complaint, 15.0)


def test_a_version_that_was_idle_for_long_is_not_bad_at_its_first_call(monkeypatch, clock):
    def called_late(seconds):
        return Tally() if seconds < 20 else Tally(0, 0, 1) if seconds < 21 else Tally(1, 0)

    assert judged(monkeypatch, clock, called_late, Policy(0.01, 30.0)) == ("", 30.0)


def test_a_version_that_tells_nothing_of_itself_is_bad_however_short_the_watch(monkeypatch, clock):
    def hanging(seconds):
        raise httpx.ReadTimeout("nothing")

    assert judged(monkeypatch, clock, hanging, Policy(0.01, 2.0)) == ("it has told nothing of itself for 15 s", 15.0)


def test_a_version_that_is_silent_for_a_while_is_watched_until_it_speaks(monkeypatch, clock):
    def silent_for_ten_seconds(seconds):
        if seconds < 10:
            raise httpx.ReadTimeout("nothing")
        return Tally(3, 0)

    assert judged(monkeypatch, clock, silent_for_ten_seconds, Policy(0.01, 2.0)) == ("", 10.0)


@pytest.mark.parametrize("seconds", [2.0, 60.0], ids=["a short watch", "a long one"])
def test_a_version_that_answers_nothing_is_bad_though_it_tells_of_no_failure(monkeypatch, clock, seconds):
    """What it never answered it never counted."""
    verdict = judged(monkeypatch, clock, lambda _: Tally(7, 0), Policy(0.01, seconds), answers=lambda _: False)

    assert verdict == ("it has answered nothing for 15 s", 15.0)


def test_a_version_that_answers_late_is_watched_until_it_does(monkeypatch, clock):
    told = judged(monkeypatch, clock, lambda _: Tally(7, 0), Policy(0.01, 2.0), answers=lambda seconds: seconds >= 10)

    assert told == ("", 10.0)
