import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from shared.contracts.refusals import DeadlinePassed, OutcomeUnknown, Unavailable
from shared.persistence.faults import committing, is_conflict, working


class FromServer(Exception):
    def __init__(self, pgcode):
        super().__init__(pgcode)
        self.pgcode = pgcode


def a_fault(pgcode, kind=OperationalError):
    return kind("SELECT", {}, FromServer(pgcode))


def _gone(*, gone=True):
    return lambda: gone


@pytest.mark.parametrize("pgcode", [None, "08006", "57P01", "57P03", "53300", "55P03", "40001", "40P01"])
def test_before_commit_an_absent_or_busy_database_means_nothing_happened(pgcode):
    with pytest.raises(Unavailable), working(_gone(gone=False)):
        raise a_fault(pgcode)


def test_an_exhausted_pool_means_nothing_happened():
    with pytest.raises(Unavailable), working(_gone(gone=False)):
        raise PoolExhausted


def test_a_statement_cut_at_the_deadline_is_a_passed_deadline():
    with pytest.raises(DeadlinePassed), working(_gone()):
        raise a_fault("57014")


def test_a_statement_cut_before_the_deadline_is_our_own_fault():
    with pytest.raises(OperationalError), working(_gone(gone=False)):
        raise a_fault("57014")


@pytest.mark.parametrize("pgcode", ["23505", "42P01"])
def test_a_violated_constraint_is_left_to_the_caller(pgcode):
    with pytest.raises(IntegrityError), working(_gone()):
        raise a_fault(pgcode, IntegrityError)


@pytest.mark.parametrize("pgcode", [None, "08006", "57P01"])
def test_a_commit_without_an_answer_is_an_unknown_outcome(pgcode):
    with pytest.raises(OutcomeUnknown), committing():
        raise a_fault(pgcode)


def test_a_commit_that_lost_against_another_did_not_happen():
    with pytest.raises(Unavailable) as refusal, committing():
        raise a_fault("40001")

    assert is_conflict(refusal.value.__cause__)


def test_a_violation_at_commit_is_left_to_the_caller():
    with pytest.raises(IntegrityError), committing():
        raise a_fault("23505", IntegrityError)
