"""What callers read of an outcome, whatever the service's code gave or raised."""

import json

import pytest
from nameko.exceptions import MethodNotFound

from shared.contracts.refusals import Refusal, Unavailable
from shared.nameko_ext import outcomes


def test_an_answer_has_namekos_layout():
    assert json.loads(outcomes.answered([1, "a"]).as_body()) == {"result": [1, "a"], "error": None}


def test_an_answer_that_cannot_be_written_is_internal():
    assert outcomes.answered(object()).code == "internal"


def test_a_refusal_keeps_its_code_when_its_details_cannot_be_written():
    error = json.loads(outcomes.refused(Unavailable(odd=object())).error)

    assert error["exc_args"] == ["service.unavailable", Unavailable.sentence, {}]


def test_stock_errors_have_namekos_layout():
    assert json.loads(outcomes.malformed("why").error) == {
        "exc_type": "MalformedRequest",
        "exc_path": "nameko.exceptions.MalformedRequest",
        "exc_args": ["why"],
        "value": "why",
    }


def test_a_stock_error_that_quotes_what_is_no_text_is_told_in_ascii():
    error = json.loads(outcomes.stock_fault(MethodNotFound("größer \ud800")).error)

    assert (error["exc_type"], error["exc_args"], error["value"]) == ("MethodNotFound", ["gr??er ?"], "gr??er ?")


@pytest.mark.parametrize("kind", [Unavailable])
def test_refusals_are_told_without_a_python_path(kind):
    body: Refusal = kind(retry_after=1)

    assert json.loads(outcomes.refused(body).as_body()) == {"result": None, "error": body.to_wire()}
