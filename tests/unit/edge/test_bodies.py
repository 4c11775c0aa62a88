import pytest

from edge.bodies import read_object
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


def test_a_deep_but_decent_body_is_read():
    raw = b'{"a":' * 30 + b'{"b": ["\xc3\xa4", 1.5, null]}' + b"}" * 30

    assert "a" in read_object(raw)
