import pytest

from edge.forms import read_form
from edge.problems import Rejected


def test_fields_are_decoded_and_empty_ones_count_as_left_out():
    assert read_form(b"grant_type=refresh_token&scope=a+b%3Ac&client_id=") == {
        "grant_type": "refresh_token",
        "scope": "a b:c",
    }


def test_a_field_that_stands_more_than_once_keeps_all_its_values():
    assert read_form(b"scope=a&scope=b&scope=") == {"scope": ["a", "b", ""]}


@pytest.mark.parametrize(
    "raw",
    [b'{"grant_type": "x"}', b"\xff=1", b"a=%ff", b"&".join(b"f%d=1" % number for number in range(101))],
    ids=["JSON", "bytes that are no text", "escapes that are no text", "too many fields"],
)
def test_what_is_no_form_is_refused(raw):
    with pytest.raises(Rejected) as refused:
        read_form(raw)

    assert refused.value.code == "request.malformed"
