import importlib
import pkgutil
import sys

import orjson

import shared.contracts
from edge.problems import BY_SLUG, PROBLEMS, problem_document, problem_response
from shared.contracts.refusals import Refusal


def all_refusals(kind=Refusal):
    for module in pkgutil.iter_modules(shared.contracts.__path__):
        importlib.import_module(f"shared.contracts.{module.name}")
    for child in kind.__subclasses__():
        if getattr(sys.modules[child.__module__], child.__name__, None) is child:  # not one made for an unknown code
            yield child
            yield from all_refusals(child)


def test_every_refusal_of_the_contracts_has_a_row():
    codes = {refusal.code for refusal in all_refusals()}

    assert len(codes) > 25
    assert codes - PROBLEMS.keys() == set()


def test_every_kind_of_problem_has_its_own_page():
    assert len(BY_SLUG) == len(PROBLEMS)
    assert BY_SLUG["outcome-unknown"].status == 504


def test_a_problem_that_may_be_repeated_says_when():
    for problem in PROBLEMS.values():
        document = problem_document(problem, detail="d", instance="/", request_id="r")
        retry_after = problem_response(document).headers.get("retry-after")
        assert (retry_after is not None) == (problem.status in {408, 429, 503}), problem.code


def test_a_document_has_the_members_of_the_contract_and_the_refusals_own():
    problem = PROBLEMS["catalog.out_of_stock"]
    members = {"shortages": [1], "title": "mine"}

    document = problem_document(problem, detail="d", instance="/api/orders", request_id="r", **members)

    assert document == {
        "type": "/problems/catalog-out-of-stock",
        "title": "Not enough in stock",
        "status": 409,
        "detail": "d",
        "instance": "/api/orders",
        "code": "catalog.out_of_stock",
        "request_id": "r",
        "retryable": False,
        "shortages": [1],
    }


def test_a_refusal_that_knows_when_to_come_back_is_believed():
    problem = PROBLEMS["idempotency.still_running"]

    response = problem_response(problem_document(problem, detail="d", instance="/", request_id="r", retry_after=7))

    assert response.headers["retry-after"] == "7"
    assert response.content_type == "application/problem+json"
    assert orjson.loads(response.body)["status"] == 409
