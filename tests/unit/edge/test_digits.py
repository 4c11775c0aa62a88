import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.digits import read_exactly

NUMBERS = [
    "123456789012345678901234567890", "-9223372036854775809", "18446744073709551616", "12345678901234567.89",
    "0.1234567890123456789", "1.10", "1e2", "1E+2", "1e-400", "-0", "-0.0", "0", "7", "1.5",
    "1e400", "-1.10E+400", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("text", ["%s", "[%s]", '{"a":{"b":%s}}', '{"a": [1, %s], "c": "é\\u00e9"}'])
def test_every_number_comes_out_as_it_came(text, number):
    raw = (text % number).encode()

    written = orjson.dumps(read_exactly(raw))

    assert json.loads(written, parse_int=str, parse_float=str) == json.loads(raw, parse_int=str, parse_float=str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text('aé\n"\\{}1'), lambda of: st.lists(of) | st.dictionaries(st.text("ab"), of)
    )
)
def test_all_else_is_read_as_ever(value):
    assert read_exactly(json.dumps(value, indent=1).encode()) == value


@pytest.mark.parametrize(
    "raw", [b"NaN", b"-Infinity", b'{"a": 1} {}', b'"\\ud800"', b"\xef\xbb\xbf{}", b'{"a": 01}', b"1e", b'"\xff"', b""]
)
@pytest.mark.parametrize("text", [b"%s", b"[1e400, %s]"], ids=["alone", "beside a number that no float holds"])
def test_what_is_no_json_is_refused(raw, text):
    with pytest.raises(orjson.JSONDecodeError):
        read_exactly(text % raw)


PIECES = [
    "[", "]", "{", "}", ",", ":", " ", "\n", "\x0b", '"', "\\", "u", "d83d", "-", "+", ".", "0", "12", "e", "1.5",
    '"a"', '{"a":', '"\\ud83d', '\\ude00"', "NaN", "Infinity", "true", "null", "x", "\ufeff", "\u0661", "\udcff",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_beside_a_number_that_no_float_holds_the_same_is_json_as_elsewhere(pieces):
    text = "".join(pieces).encode(errors="surrogateescape")

    assert is_read(b"[1e400,%s]" % text, by=read_exactly) == is_read(b"[1e300,%s]" % text, by=orjson.loads)


def is_read(raw, *, by):
    try:
        by(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def test_what_lies_too_deep_to_be_written_is_refused_beside_such_a_number_too():
    with pytest.raises(orjson.JSONDecodeError):
        read_exactly(b"[" * 300 + b"1e400" + b"]" * 300)
