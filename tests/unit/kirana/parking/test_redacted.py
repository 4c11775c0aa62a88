import json

import pytest

from kirana.parking.message import Parked
from kirana.parking.redacted import body_of, headers_of, plain, printable, said, shape

SECRETS = ("hush1", "hush2", "hush3", "hush4", "hush5")


@pytest.mark.parametrize(
    "body",
    [
        {"args": [], "kwargs": {"username": "asha", "password": "hush1", "password2": "hush2"}},
        {"args": ["asha", "hush1", {"a": "hush2"}, ["hush3"]], "kwargs": {}},
        {"calls": [{"method": "log_in", "kwargs": {"password": "hush4"}}, {"args": ["hush5"]}]},
        {"data": {"refresh": "hush3", "nested": [{"access_token": "hush1"}]}},
    ],
)
@pytest.mark.parametrize("cut", [0, 1])
def test_no_secret_of_a_body_is_shown_whole_or_cut_off(body, cut):
    text = json.dumps(body)

    shown = json.dumps(body_of(Parked("identity", text[: len(text) - cut].encode())))

    assert not [secret for secret in SECRETS if secret in shown]


def test_what_is_no_secret_is_shown():
    body = {"args": [7, None], "kwargs": {"product_id": 3, "q": "tea"}}

    assert body_of(Parked("catalog", json.dumps(body).encode())) == body


def test_arguments_without_names_tell_only_their_kind():
    body = json.dumps({"args": ["hush", [1, 2]], "kwargs": {}}).encode()

    assert body_of(Parked("identity", body))["args"] == ["[text, 4 characters]", "[list, 2 parts]"]


def test_the_shape_of_what_is_no_json_shows_where_it_breaks():
    assert shape('{"user": "äsha1\n'.encode()) == '{"aaaa": "aaaa9\n'
    assert shape(b"a" * 1000).endswith("a…")


def test_secret_headers_are_not_shown():
    properties = {"application_headers": {"nameko.access_token": "hush", "nameko.request_id": "r"}, "type": b"\xff"}

    assert headers_of(Parked("order", b"", properties)) == {
        "headers": {"nameko.access_token": "[redacted]", "nameko.request_id": "r"},
        "type": "base64:/w==",
    }


def test_a_reason_cannot_steer_the_terminal_nor_tell_an_address():
    assert said("\x1b[2J asha@example.com\nnext") == "\\u001b[2J [redacted] next"
    assert printable("\ud800ü") == "\\ud800ü"


def test_everything_becomes_something_that_json_has():
    assert plain({b"\xff": (1, b"text", {1.5})}) == {"base64:/w==": [1, "text", "{1.5}"]}


def test_tables_in_each_other_are_shown_as_deep_as_anybody_looks():
    table = {"all": "the way down"}
    for _ in range(5000):
        table = {"a": [table]}

    shown = json.dumps(headers_of(Parked("demo", b"", {"application_headers": table})))

    assert shown.count('{"a": ') > 1
    assert "way down" not in shown
