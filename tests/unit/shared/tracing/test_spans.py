import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tracing import spans
from shared.tracing.spans import begin, child_of, flagged, is_sampled, state_of, work_of

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_span_under_a_caller_stays_in_its_trace_and_knows_its_parent():
    span = begin(CALLER)

    assert span.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert span.parent_id == "00f067aa0ba902b7"
    assert span.caller == CALLER
    assert span.span_id != span.parent_id
    assert spans._TRACEPARENT.fullmatch(span.traceparent)


@pytest.mark.parametrize(
    "caller",
    [
        None,
        "",
        "no trace",
        CALLER.upper(),
        CALLER + "-00",
        CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        CALLER.replace("00f067aa0ba902b7", "0" * 16),
        CALLER.replace("00-4", "ff-4"),
        CALLER + "\n",
    ],
    ids=["none", "empty", "text", "capitals", "longer", "no trace", "no span", "another version", "line end"],
)
def test_where_nobody_called_a_trace_begins(caller):
    span = begin(caller)

    assert spans._TRACEPARENT.fullmatch(span.traceparent)
    assert (span.caller, span.parent_id) == (None, None)
    assert span.trace_id not in CALLER


def test_no_two_spans_share_an_id():
    mine = {begin(CALLER).span_id for _ in range(10_000)} | {begin(None).span_id for _ in range(10_000)}

    assert len(mine) == 20_000


def test_the_flags_of_a_trace_go_on_to_its_spans():
    assert is_sampled(child_of(CALLER))
    assert not is_sampled(child_of(CALLER[:-1] + "0"))
    assert flagged(CALLER, is_sampled=False) == CALLER[:-1] + "0"
    assert flagged(CALLER[:-2] + "0a", is_sampled=True) == CALLER


def test_log_lines_stand_under_the_work_that_wrote_some_even_where_a_recorded_span_lies_between():
    span = begin(CALLER, state_of("aaaaaaaaaaaaaaaa", "other=1"))

    assert span.parent_id == "aaaaaaaaaaaaaaaa"
    assert span.caller == CALLER


@pytest.mark.parametrize("state", ["kirana=", "kirana=ffff", "x=kirana=aaaaaaaaaaaaaaaa", "kirana=AAAAAAAAAAAAAAAA"])
def test_a_state_that_names_no_work_is_not_believed(state):
    assert work_of(state) is None


def test_what_other_systems_say_of_a_trace_goes_on_behind_ours():
    assert state_of("a" * 16, "x=1, kirana=old ,y=2") == f"kirana={'a' * 16},x=1,y=2"
    assert state_of(None, "kirana=old") is None
    assert state_of(None, None) is None


def test_a_state_that_is_too_long_or_unprintable_ends_here():
    assert state_of("a" * 16, "x=" + "1" * 600) == f"kirana={'a' * 16}"
    assert state_of("a" * 16, "x=1\r\ny: 2") == f"kirana={'a' * 16}"


@given(st.text(), st.text())
def test_nothing_a_stranger_says_can_break_a_trace(caller, state):
    span = begin(caller, state)
    onward = state_of(span.span_id, state)

    assert spans._TRACEPARENT.fullmatch(span.traceparent)
    assert onward is not None
    assert onward.isascii()
    assert len(onward.split(",")) <= spans.MOST_MEMBERS
