import sys

import pytest

from shared.logs.ecs import error_fields, to_ecs


def test_dotted_names_of_the_schema_nest():
    document = to_ecs({"http.request.method": "GET", "http.response.status_code": 200, "user.id": "u1"})

    assert document == {"http": {"request": {"method": "GET"}, "response": {"status_code": 200}}, "user": {"id": "u1"}}


def test_names_of_our_own_become_flat_labels():
    assert to_ecs({"order_id": "o1", "labels.route": "get_cart"}) == {"labels": {"order_id": "o1", "route": "get_cart"}}


@pytest.mark.parametrize("name", ["error", "user", "http", "event", "log", "service", "host", "url"])
def test_a_scalar_never_takes_the_place_of_an_object_of_the_schema(name):
    document = to_ecs({name: "text", f"{name}.id": "inner"})

    assert document[name] == {"id": "inner"}
    assert document["labels"] == {name: "text"}


def test_a_name_below_a_scalar_becomes_a_label_instead_of_a_conflict():
    document = to_ecs({"event.duration": 5, "event.duration.ms": 7})

    assert document == {"event": {"duration": 5}, "labels": {"event_duration_ms": 7}}


def test_a_scalar_does_not_overwrite_an_object_that_stands_there():
    document = to_ecs({"url.path.raw": "/a", "url.path": "/b"})

    assert document == {"url": {"path": {"raw": "/a"}}, "labels": {"url_path": "/b"}}


@pytest.mark.parametrize("value", ["200", "abc", True, [1]])
def test_what_is_no_number_never_lands_in_a_number_field(value):
    document = to_ecs({"http.response.status_code": value})

    assert "http" not in document
    assert "http_response_status_code" in document["labels"]


def test_durations_are_whole_nanoseconds():
    assert to_ecs({"event.duration": 12.7}) == {"event": {"duration": 12}}


def test_labels_stay_flat_whatever_is_put_in_them():
    labels = to_ecs({"lines": [{"id": 1}], "things": {"a": {"b": 1}}, "kind": ValueError})["labels"]

    assert all(isinstance(value, str) for value in labels.values())


def test_an_exception_gives_type_message_and_trace():
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        fields = error_fields(sys.exc_info())

    assert fields["error.type"] == "builtins.ZeroDivisionError"
    assert fields["error.message"] == "division by zero"
    assert "1 / 0" in fields["error.stack_trace"]


def test_an_exception_that_cannot_say_its_text_is_still_told():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    fields = error_fields((Mute, Mute(), None))

    assert fields["error.type"].endswith("Mute")


def test_a_field_without_a_value_is_left_out():
    assert to_ecs({"code": None, "user.id": None, "labels.route": None}) == {}
