import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.digits import read_exactly

NUMBERS = [
    "123456789012345678901234567890", "-9223372036854775809", "18446744073709551616", "12345678901234567.89",
    "0.1234567890123456789", "1.10", "1e2", "1E+2", "1e-400", "-0", "-0.0", "0", "7", "1.5",
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
    "raw", [b"NaN", b"[1e400]", b'{"a": 1} {}', b'"\\ud800"', b"\xef\xbb\xbf{}", b'{"a": 01}', b""]
)
def test_what_is_no_json_is_refused(raw):
    with pytest.raises(orjson.JSONDecodeError):
        read_exactly(raw)
