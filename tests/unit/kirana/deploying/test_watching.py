import pytest

from kirana.deploying.watching import Policy, Tally, complaint_about, tally_of

POLICY = Policy(errors=0.01, seconds=1)


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
    ],
    ids=["well", "within", "above", "too-few", "nothing-beside", "as-bad-as-before", "worse-than-before"],
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


def test_what_a_service_fails_at_is_its_fault_and_a_refusal_is_not():
    text = "\n".join(
        [
            "# TYPE kirana_rpc_run_seconds histogram",
            *(
                f'kirana_rpc_run_seconds_{part}{{service="s",method="m",outcome="{outcome}"{more}}} {count}'
                for outcome, count in (("ok", 5), ("refused", 2), ("failed", 3))
                for part, more in (("bucket", ',le="+Inf"'), ("count", ""), ("sum", ""))
            ),
            "",
        ]
    )

    assert tally_of(text) == Tally(10, 3)


def test_a_process_that_began_anew_counts_from_nothing():
    assert Tally(3, 1).since(Tally(100, 0)) == Tally(3, 1)
    assert Tally(103, 2).since(Tally(100, 1)) == Tally(3, 1)
