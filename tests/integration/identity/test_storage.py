from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from rpc_services.identity.domain import Cutoff, new_session
from rpc_services.identity.session_storage import SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.storage import SqlAccounts, SqlAttempts, SqlClients, sweep
from rpc_services.identity.tables import ended_grants, known_visitors, login_attempts, sessions
from rpc_services.identity.throttle import Allowance, Count
from shared.contracts.identity import UsernameTaken
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.fakes.clock import FakeClock
from tests.fakes.identity import (
    NOON,
    AccountsBehaviour,
    AttemptsBehaviour,
    ClientsBehaviour,
    CutoffsBehaviour,
    EndedGrantsBehaviour,
    SessionsBehaviour,
    a_client,
    an_account,
)


class TestSqlAccounts(AccountsBehaviour):
    @pytest.fixture
    def accounts(self, transaction):
        return SqlAccounts(transaction, now)


class TestSqlAttempts(AttemptsBehaviour):
    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def attempts(self, scope, clock):
        with scope.writing() as transaction:
            transaction.execute(login_attempts.delete())
            transaction.execute(known_visitors.delete())
        return SqlAttempts(scope.writing, clock)


class TestSqlSessions(SessionsBehaviour):
    @pytest.fixture
    def user_id(self, transaction):
        account = an_account()
        SqlAccounts(transaction, now).add(account)
        return account.id

    @pytest.fixture
    def sessions(self, transaction):
        return SqlSessions(transaction)


class TestSqlCutoffs(CutoffsBehaviour):
    @pytest.fixture
    def cutoffs(self, transaction):
        return SqlCutoffs(transaction)

    def test_a_cut_off_that_refuses_nothing_any_more_is_forgotten(self, cutoffs):
        cutoff = Cutoff.after(None, new_id(), at=NOON, kept_session_id="")
        cutoffs.put(cutoff)

        cutoffs.forget(datetime.fromtimestamp(cutoff.forget_at, UTC))
        assert cutoffs.of(cutoff.subject)
        cutoffs.forget(datetime.fromtimestamp(cutoff.forget_at + 1, UTC))

        assert cutoffs.of(cutoff.subject) is None


class TestSqlEndedGrants(EndedGrantsBehaviour):
    @pytest.fixture
    def grants(self, transaction):
        transaction.execute(ended_grants.delete())
        return SqlEndedGrants(transaction)

    @pytest.fixture
    def client_id(self, transaction):
        client = a_client()
        SqlClients(transaction).add(client)
        return client.id

    @pytest.fixture
    def session_id(self, transaction):
        account = an_account()
        SqlAccounts(transaction, now).add(account)
        return SessionsBehaviour.opened(SqlSessions(transaction), account.id).id


class TestSqlClients(ClientsBehaviour):
    @pytest.fixture
    def clients(self, transaction):
        return SqlClients(transaction)


def test_of_many_who_take_one_name_at_once_one_has_it(scope):
    def take(_):
        try:
            with scope.writing() as transaction:
                SqlAccounts(transaction, now).add(an_account(username="contested", email=f"{new_id()}@example.com"))
        except UsernameTaken:
            return "taken"
        return "mine"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(take, range(16)))

    assert sorted(outcomes) == ["mine"] + ["taken"] * 15


def test_of_many_tries_at_once_no_more_pass_than_are_allowed(scope):
    attempts = SqlAttempts(scope.writing, FakeClock())
    count = Count(b"at once", Allowance(burst=5, every=timedelta(seconds=20)))

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: attempts.take([count]), range(24)))

    assert waits.count(0.0) == 5


def test_what_is_over_is_swept_and_what_is_not_stays(transaction):
    account = an_account()
    SqlAccounts(transaction, now).add(account)
    keeper = SqlSessions(transaction)
    over, alive = new_session(new_id(), account.id, NOON - timedelta(days=31)), new_session(new_id(), account.id, NOON)
    for session in (over, alive):
        keeper.open(session, NOON)
        keeper.keep_token(session.id.encode(), session.id, NOON)

    sweep(transaction, NOON)

    assert set(transaction.scalars(select(sessions.c.id).where(sessions.c.user_id == account.id))) == {alive.id}
