import pytest

from edge.bodies import LONGEST, read_object
from edge.problems import Rejected


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"{} {}", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e400}', b'{"a": "\\ud800"}', b'{"\\udc00": 1}',
        b'{"a": "\xff"}', b"\xef\xbb\xbf{}", b"'a'", b'{"a": 1,}', b"[" * 100_000,
        b'{"a":' * 33 + b"1" + b"}" * 33, b'{"a": ' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "\\u0062": 2}}',
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_that_parsers_read_differently_is_refused(raw):
    with pytest.raises(Rejected) as refused:
        read_object(raw)

    assert refused.value.code == "request.malformed"


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"null", b"1", b"true"])
def test_a_body_that_is_no_object_is_refused_as_a_whole(raw):
    with pytest.raises(Rejected) as refused:
        read_object(raw)

    assert refused.value.code == "request.invalid"
    assert refused.value.members["errors"][0]["pointer"] == ""


def of_length(count: int) -> list[bytes]:
    members = b",".join(b'"%d": 1' % number for number in range(count))
    return [b'{"a": [' + b",".join([b"1"] * count) + b"]}", b'{"a": [{' + members + b"}]}", b"{" + members + b"}"]


@pytest.mark.parametrize("kind", range(3), ids=["list", "object", "whole"])
def test_a_body_with_a_list_or_object_beyond_all_measure_is_refused_and_one_that_is_just_large_is_read(kind):
    with pytest.raises(Rejected, match="items") as refused:
        read_object(of_length(LONGEST + 1)[kind])

    assert refused.value.code == "request.malformed"
    assert read_object(of_length(LONGEST)[kind])


def test_a_deep_but_decent_body_is_read():
    raw = b'{"a":' * 30 + b'{"b": ["\xc3\xa4", 1.5, null]}' + b"}" * 30

    assert "a" in read_object(raw)
