from dataclasses import replace

import pytest
from sanic.compat import Header

from edge.cache.flights import Asked, for_nobody, is_failure
from edge.problems import Rejected
from edge.rpc.calls import Deadline
from edge.rpc.failures import NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.tokens import Caller
from shared.contracts.refusals import DeadlinePassed, InvalidRequest
from tests.unit.edge.cache.asking import A_ROUTE, a_plan, an_exchange

CALLER = Caller(user_id="user-1", session_id="s", scopes=frozenset(), expires_at=0)
HOSTILE = {
    "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4", "Cookie": "a=b",
    "Authorization": "Bearer secret", "If-None-Match": '"1-a"', "Range": "bytes=0-1", "X-Cart-Token": "t",
}  # fmt: skip


def fetched(plan):
    exchange = an_exchange(headers=HOSTILE, caller=CALLER)
    exchange.request.method = "HEAD"
    return exchange, for_nobody(Asked(exchange, None, plan, "key"), Deadline.after(1))


def test_a_fetch_for_all_knows_neither_who_asked_nor_what_they_said():
    exchange, fetch = fetched(a_plan())

    assert fetch.request.headers == Header({})
    assert fetch.caller is None
    assert fetch.request.conn_info is None
    assert fetch.request.method == "GET"
    assert (exchange.caller, exchange.request.method, exchange.verdicts) == (CALLER, "HEAD", ["mine"])
    assert exchange.request.headers["host"] == "evil.example"


def test_a_fetch_for_one_user_knows_who_that_is_and_nothing_else():
    private = {**A_ROUTE, "auth": "required", "answer": {"cache_control": "private"}, "cache": {"private": True}}
    _, fetch = fetched(a_plan(**private))

    assert fetch.caller is CALLER
    assert fetch.request.headers == Header({"authorization": "Bearer secret"})


@pytest.mark.parametrize(
    ("caller", "told"),
    [(None, "guest"), (CALLER, "customer"), (replace(CALLER, scopes=frozenset({"edge:admin"})), "staff")],
    ids=["guest", "customer", "staff"],
)
def test_a_fetch_for_one_class_of_callers_knows_the_class_that_its_answer_is_kept_for(caller, told):
    plan = a_plan(auth="optional", cache={"vary": "caller-class"})
    exchange = an_exchange(headers=HOSTILE, caller=caller)
    key = plan.key_of(exchange)

    fetch = for_nobody(Asked(exchange, None, plan, key), Deadline.after(1))

    assert (fetch.caller_class, fetch.caller, fetch.request.headers) == (told, None, Header({}))
    assert key.endswith(f"class={told}")


def test_where_answers_are_not_kept_by_class_nobody_is_told_any():
    _, fetch = fetched(a_plan())

    assert fetch.caller_class is None


@pytest.mark.parametrize(
    ("fault", "is_one"),
    [
        (NotExecuted("the breaker is open"), True),
        (OutcomeUnknown("no answer"), True),
        (RemoteRefusal("internal", "", {}), True),
        (RemoteRefusal("a.code_nobody_knows", "", {}), True),
        (DeadlinePassed(), True),
        (ZeroDivisionError(), True),
        (RemoteRefusal("catalog.product_not_found", "", {}), False),
        (InvalidRequest(errors=[]), False),
        (Rejected("request.malformed", ""), False),
    ],
    ids=["refused here", "unknown", "its fault", "its riddle", "late", "ours", "not found", "bad input", "malformed"],
)
def test_trouble_is_told_from_a_no(fault, is_one):
    assert is_failure(fault) is is_one
