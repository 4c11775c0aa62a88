from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from rpc_services.identity.domain import ENDED_AT_ONCE, MOST_SESSIONS
from rpc_services.identity.session_storage import SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.storage import SqlAccounts, SqlAttempts, SqlClients
from rpc_services.identity.tables import ended_grants, known_visitors, login_attempts
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

    def test_of_far_too_many_sessions_few_are_read(self, sessions, transaction, user_id):
        rows = text("""INSERT INTO sessions (id, user_id, opened_at, expires_at)
            SELECT gen_random_uuid(), :user_id, moment, moment + interval '30 days' FROM generate_series(
                :noon - interval '1 day', :noon, interval '5 seconds') AS opened (moment)""")
        transaction.execute(rows, {"user_id": user_id, "noon": NOON})
        transaction.execute(text("ANALYZE sessions"))
        counted = text("""SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
            WHERE relname = 'sessions'""")
        before = transaction.execute(counted).scalar_one()

        assert len(sessions.live_of(user_id, NOON)) == MOST_SESSIONS
        assert len(sessions.revoke_oldest_of(user_id, kept=MOST_SESSIONS, at=NOON, reason="test")) == ENDED_AT_ONCE

        assert transaction.execute(counted).scalar_one() - before < 5 * MOST_SESSIONS


class TestSqlCutoffs(CutoffsBehaviour):
    @pytest.fixture
    def cutoffs(self, transaction):
        return SqlCutoffs(transaction)


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
