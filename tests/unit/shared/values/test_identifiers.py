import uuid

import pytest

from shared.values.identifiers import is_id, is_sane_token, new_id, new_order_number

AN_ID = "01a1fca9-0b4e-76f7-b4ce-ba00de9f3015"


def test_ids_are_uuid_version_7_and_sort_by_the_time_they_were_made():
    ids = [new_id() for _ in range(1000)]

    assert {uuid.UUID(each).version for each in ids} == {7}
    assert ids == sorted(ids)


def test_order_numbers_are_ten_unambiguous_characters():
    number = new_order_number()

    assert len(number) == 10
    assert not set(number) & set("ILOU")


def test_a_request_id_that_could_split_a_log_line_is_not_sane():
    assert is_sane_token("a1b2-c3")
    assert not any(is_sane_token(text) for text in ("", "a b", "a\nb", "x" * 129, "é", "a\n"))


def test_an_id_is_known_for_one():
    assert is_id(new_id())


@pytest.mark.parametrize(
    "text",
    ["", "1", "\0", "x" * 36, "../../etc/passwd", AN_ID + "\n", AN_ID.upper(), f"{{{AN_ID}}}", "12345678" * 4],
)
def test_what_is_no_id_is_known_for_it(text):
    assert not is_id(text)
