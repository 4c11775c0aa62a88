import pytest

from kirana.parking.choosing import Choice, count_by_service, short_ids
from kirana.parking.message import Kind, Summary
from kirana.stack.faults import StackFault


def a_summary(id_, **changes):
    known = {
        "id": id_,
        "service": "order",
        "kind": Kind.EVENT,
        "origin": "q",
        "what": "",
        "parked_at": "",
        "reason": "",
        "request_id": "",
        "message_id": f"message of {id_}",
        "attempts": 1,
        "size": 0,
    }
    return Summary(**{**known, **changes})


FIRST, SECOND = a_summary("aaaabbbb0000"), a_summary("aaaabbbb1111", origin="other")
COPY = a_summary("aaaabbbb0000")


def test_the_first_digits_are_enough_when_only_one_message_has_them():
    assert Choice(["AAAABBBB0"]).of([FIRST, SECOND]) == [FIRST]


def test_digits_that_two_messages_have_are_refused_with_both():
    with pytest.raises(StackFault, match=r"2 messages \(aaaabbbb0000, aaaabbbb1111\)"):
        Choice(["aaaa"]).of([FIRST, SECOND])


@pytest.mark.parametrize("typed", ["bbbb", "aaa", "", "aaaabbbb00000"])
def test_an_unknown_id_is_refused_even_beside_a_known_one(typed):
    with pytest.raises(StackFault, match="No parked message"):
        Choice(["aaaabbbb0", typed]).of([FIRST, SECOND])


def test_copies_have_one_id_and_go_together():
    assert Choice(["aaaabbbb0"]).of([FIRST, SECOND, COPY]) == [FIRST, COPY]


def test_the_id_that_the_logs_show_is_understood():
    assert Choice(["message of aaaabbbb1111"]).of([FIRST, SECOND]) == [SECOND]


def test_a_queue_narrows_what_an_id_can_mean():
    assert Choice(["aaaa"], "other").of([FIRST, SECOND]) == [SECOND]
    assert Choice((), "other").of([FIRST, SECOND]) == [SECOND]


def test_short_ids_are_as_long_as_it_takes():
    assert list(short_ids([FIRST, SECOND, COPY]).values()) == ["aaaabbbb0", "aaaabbbb1"]
    assert list(short_ids([FIRST]).values()) == ["aaaabbbb"]
    assert not short_ids([])


def test_counting_names_only_services_that_have_any():
    assert count_by_service([FIRST, SECOND]) == {"order": 2}
