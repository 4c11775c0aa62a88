from sqlalchemy.exc import OperationalError

from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.nameko_ext.reasons import LONGEST_REASON, reason_of
from shared.nameko_ext.wire import known_ids


class LockNotAvailable(Exception):
    """As the driver has it."""


def refusal_from(cause):
    """As ``raise … from`` makes it."""
    refusal = Unavailable(retry_after=1)
    refusal.__cause__ = cause
    return refusal


def test_what_the_driver_said_is_the_reason_without_statement_values_or_further_lines():
    fault = LockNotAvailable("canceling statement due to lock timeout\nDETAIL: Key (email)=(a@example.com)")
    wrapper = OperationalError("SELECT secret FROM users WHERE name = %(name)s", {"name": "asha"}, fault)

    assert reason_of(refusal_from(wrapper)) == "LockNotAvailable: canceling statement due to lock timeout"


def test_a_rules_own_no_needs_no_further_reason():
    assert reason_of(Unavailable(retry_after=1)) is None
    assert reason_of(Unavailable("The bank does not answer.")) == "The bank does not answer."


def test_of_several_causes_the_first_is_told_and_never_endlessly():
    loop = RuntimeError("round and round")
    loop.__cause__ = loop

    assert reason_of(refusal_from(refusal_from(OutcomeUnknown("the commit got no answer")))) == (
        "OutcomeUnknown: the commit got no answer"
    )
    assert reason_of(refusal_from(loop)) == "RuntimeError: round and round"
    assert len(reason_of(refusal_from(ValueError("x" * 5000)))) == LONGEST_REASON


def test_of_a_message_that_cannot_be_read_only_sane_ids_are_told():
    table = {"nameko.request_id": "r-1", "nameko.user_id": "bad\nid", "nameko.deadline": {"a": [1]}, 5: 6}

    assert known_ids(table) == {"http.request.id": "r-1"}
    assert known_ids([]) == {}
