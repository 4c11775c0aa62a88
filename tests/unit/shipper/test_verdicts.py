import pytest

from shipper.verdicts import Kind, of_item


def an_item(status, **more):
    return {"create": {"status": status} | more}


@pytest.mark.parametrize("status", [200, 201])
def test_what_was_created_is_delivered(status):
    assert of_item(an_item(status)).kind is Kind.DELIVERED


def test_a_conflict_says_that_an_earlier_try_had_delivered_it():
    assert of_item(an_item(409, error={"type": "version_conflict_engine_exception"})).kind is Kind.REPEATED


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (429, "throttled"),
        (500, "server"),
        (503, "server"),
        (408, "timeout"),
        (401, "unauthorised"),
        (403, "unauthorised"),
    ],
)
def test_what_is_about_the_cluster_or_about_us_is_tried_again(status, word):
    assert of_item(an_item(status)) == (Kind.AGAIN, word)


def test_any_other_4xx_is_for_good_with_the_reason_and_its_cause():
    error = {"type": "document_parsing_exception", "reason": "[1:20] failed", "caused_by": {"type": "x", "reason": "y"}}

    verdict = of_item(an_item(400, error=error))

    assert verdict == (Kind.DEAD, "400 document_parsing_exception: [1:20] failed (x: y)")


def test_what_went_into_the_failure_store_is_no_success_though_it_says_201():
    assert of_item(an_item(201, failure_store="used")).kind is Kind.DEAD


@pytest.mark.parametrize(
    "item", [None, {}, {"create": None}, {"create": {}}, {"create": {"status": "201"}}, 5], ids=repr
)
def test_an_item_without_a_verdict_is_tried_again(item):
    assert of_item(item) == (Kind.AGAIN, "no_verdict")
