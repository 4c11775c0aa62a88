import pytest

from kirana.logbook.spans import tree_of
from kirana.logbook.verdict import judged, slowest_path
from tests.builders.log_lines import a_line, handled, ran, served

TRACE = """Traceback (most recent call last):
  File "/app/rpc_services/order/saga.py", line 144, in place
    self.books.take()
  File "/usr/lib/python3.11/site-packages/sqlalchemy/engine.py", line 9, in run
    raise Gone
"""


def verdict_of(*lines):
    return judged(tree_of(sorted(lines, key=lambda line: line["@timestamp"])))


def test_the_deepest_failure_is_the_cause_and_its_own_reason_is_told():
    verdict = verdict_of(
        served(2.0, 503, labels={"code": "service.unavailable"}),
        ran(1.9, "order.place_order", code="service.unavailable"),
        ran(1.8, "catalog.reserve_stock", parent="order.place_order", code="service.unavailable",
            labels={"reason": "LockNotAvailable: canceling statement due to lock timeout"}),
    )  # fmt: skip

    assert verdict.outcome == "failed"
    assert verdict.culprit.name == "catalog.reserve_stock"
    assert [span.where for span in verdict.path] == ["edge-1", "order-1", "catalog-1"]
    assert verdict.reason == "LockNotAvailable: canceling statement due to lock timeout"


def test_of_an_exception_the_text_and_our_own_place_in_the_code_are_told():
    crash = {
        "error.type": "sqlalchemy.exc.Gone",
        "error.message": "no such row\nDETAIL: a secret",
        "error.stack_trace": TRACE,
    }

    verdict = verdict_of(
        a_line(1.8, "rpc.failed", level="error", span="o", parent="e", **crash),
        ran(1.9, "order.place_order", span="o", code="internal"),
        served(2.0, 500, labels={"code": "internal"}),
    )

    assert verdict.reason == "sqlalchemy.exc.Gone: no such row"
    assert verdict.place == "rpc_services/order/saga.py:144 in place"


@pytest.mark.parametrize(
    ("status", "labels", "reason"),
    [
        (401, {"code": "auth.required", "reason": "This needs an access token."}, "This needs an access token."),
        (429, {"code": "quota.exceeded", "reason": "Too many requests."}, "Too many requests."),
        (503, {"code": "service.unavailable", "reason": "shed at the door"}, "shed at the door"),
        (500, {"code": "internal"}, "Something went wrong on our side"),
        (499, {}, "the client went away before it had an answer"),
    ],
    ids=["unauthorised", "limited", "shed", "told by its code", "client gone"],
)
def test_what_the_edge_alone_refuses_has_its_reason_too(status, labels, reason):
    assert verdict_of(served(2.0, status, labels=labels)).reason == reason


def test_a_killed_service_is_named_by_the_call_that_nobody_answered():
    verdict = verdict_of(
        a_line(5.0, "rpc.not_answered", where="edge-1", span="e",
               labels={"method": "cart.get_cart", "reason": "no answer before the deadline"}),
        served(5.0, 503, labels={"code": "deadline.passed"}),
    )  # fmt: skip

    assert (verdict.culprit.name, verdict.reason) == ("cart.get_cart", "no answer before the deadline")


def test_a_killed_edge_is_told_of_what_its_services_wrote():
    verdict = verdict_of(a_line(1.0, "edge.token_refused", where="edge-1", span="e"), ran(1.5, "cart.get_cart"))

    assert verdict.outcome == "unfinished"
    assert "killed" in verdict.reason


def test_an_answered_request_whose_event_failed_is_not_passed_over():
    verdict = verdict_of(
        served(2.0, 201),
        ran(1.9, "order.place_order", span="o"),
        handled(3.0, "order.placed", parent="o", fault="SMTPException"),
        a_line(3.1, "message.parked", where="notification-1", span="v", parent="o", level="warning",
               labels={"reason": "failed 5 times"}),
    )  # fmt: skip

    assert verdict.outcome == "answered"
    assert verdict.culprit.name == "event order.placed"
    assert "failed 5 times" in verdict.reason
    assert verdict.notes == ("the message was put aside: kirana events parked",)


def test_a_long_wait_and_a_second_coming_are_noted():
    verdict = verdict_of(
        served(9.0, 503),
        ran(8.0, "order.place_order", code="deadline.passed", labels={"queue_ns": 4_800_000_000, "redelivered": True}),
    )

    assert verdict.notes == (
        "order.place_order waited 4.80 s for a free worker of order-1",
        "order.place_order came a second time: an earlier run of it did not finish",
    )


def test_nothing_is_said_against_a_request_that_went_well():
    verdict = verdict_of(served(2.0, 200), ran(1.9, "cart.get_cart"))

    assert (verdict.outcome, verdict.culprit, verdict.reason) == ("answered", None, "")


def test_the_way_of_most_of_the_time_ends_where_it_was_spent():
    (root,) = tree_of(
        sorted(
            [
                served(10.0, 200, took=9.0),
                ran(9.9, "order.place_order", span="o", took=8.0),
                ran(9.0, "catalog.reserve_stock", parent="o", took=7.0),
                ran(9.8, "cart.subtract_items", parent="o", took=0.5),
            ],
            key=lambda line: line["@timestamp"],
        )
    )

    assert [span.name for span in slowest_path(root)] == [
        "POST /api/orders",
        "order.place_order",
        "catalog.reserve_stock",
    ]
