import json

import pytest

from shared.logs.rendering import Renderer


class NamedLogger:
    name = "kirana.test"


def rendered(event, method="info", **fields):
    line = Renderer({"service.name": "order"})(NamedLogger(), method, {"event": event, **fields})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def test_the_event_is_message_and_action():
    line = rendered("order.placed", order_id="o1")

    assert line["message"] == "order.placed"
    assert line["event"]["action"] == "order.placed"
    assert line["log"] == {"level": "info", "logger": "kirana.test"}
    assert line["labels"] == {"order_id": "o1"}
    assert line["ecs"]["version"]
    assert line["@timestamp"].endswith("Z")


def test_fields_cannot_pretend_to_be_another_process():
    assert rendered("x", **{"service.name": "edge"})["service"] == {"name": "order"}


def test_an_exception_becomes_error_fields_without_secrets():
    line = rendered("mail.failed", method="exception", exc_info=ValueError("no mail to ada@example.com"))

    assert line["log"]["level"] == "error"
    assert line["error"]["type"] == "builtins.ValueError"
    assert "ada@example.com" not in json.dumps(line)


def test_exc_info_without_an_exception_adds_nothing():
    assert "error" not in rendered("x", exc_info=True)


class Hostile:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("value", [2**80, float("nan"), "\ud800", {1: 2}, {("a",): 1}, {1, 2}, b"\xff", object()])
def test_a_value_that_json_does_not_know_never_loses_the_line(value):
    assert rendered("order.placed", value=value, nested=[value])["message"] == "order.placed"


def test_a_value_that_cannot_be_shown_at_all_leaves_a_line_that_says_so():
    line = rendered("order.placed", value=Hostile())

    assert line["message"] == "log.line_lost"
    assert "order.placed" in line["labels"]["lost"]
