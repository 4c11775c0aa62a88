from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from secrets import token_bytes

import pytest
from sqlalchemy import select

from rpc_services.identity.session_use_cases import Login, Refreshing, SessionEnds
from rpc_services.identity.storage import SqlAccounts, SqlAnnounce, SqlSessions
from rpc_services.identity.tables import refresh_tokens
from rpc_services.identity.tokens import Mint, Seed
from shared.contracts.identity import InvalidRefreshToken, RefreshTokens
from shared.messaging.tables import outbox
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import an_account


class ClaimsInClear:
    def sign(self, claims):
        return repr(claims)


class Books:
    """Sessions in PostgreSQL, each move in a transaction of its own, as the doors make them."""

    def __init__(self, scope):
        self.scope = scope
        self.clock = FakeClock()
        self.mint = Mint(signer=ClaimsInClear(), issuer="kirana", audience="kirana-api")
        self.account = an_account()
        with scope.writing() as transaction:
            SqlAccounts(transaction, self.clock).add(self.account)

    def log_in(self):
        with self.scope.writing() as transaction:
            accounts, sessions = SqlAccounts(transaction, self.clock), SqlSessions(transaction)
            return Login(accounts, sessions, self.mint, self.clock, new_id).open(self.account, Seed(token_bytes(48)))

    def refresh(self, pair):
        with self.scope.writing() as transaction:
            sessions = SqlSessions(transaction)
            ends = SessionEnds(sessions, SqlAnnounce(transaction), self.clock)
            accounts = SqlAccounts(transaction, self.clock)
            refreshing = Refreshing(accounts, sessions, self.mint, ends, b"secret", lambda: token_bytes(16))
            return refreshing.exchange(RefreshTokens(refresh=pair.refresh))

    def told(self):
        with self.scope.reading() as transaction:
            rows = transaction.scalars(select(outbox.c.data).where(outbox.c.type == "session.revoked"))
            return [row for row in rows if row["user_id"] == self.account.id]


@pytest.fixture
def books(scope):
    return Books(scope)


def test_all_who_refresh_one_token_at_once_get_the_very_same_pair(books):
    pair = books.log_in()

    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(lambda _: books.refresh(pair), range(20)))

    assert all(each == pairs[0] for each in pairs)
    assert not isinstance(books.refresh(pairs[0]), InvalidRefreshToken)


def test_a_replay_ends_the_session_for_good_and_tells_it_once(books):
    first = books.log_in()
    second = books.refresh(first)
    books.clock.advance(timedelta(seconds=31))

    outcomes = [books.refresh(each) for each in (first, second, first)]

    assert all(isinstance(each, InvalidRefreshToken) for each in outcomes)
    assert len(books.told()) == 1


def test_no_token_stands_in_the_database_in_clear(books):
    first = books.log_in()
    second = books.refresh(first)

    with books.scope.reading() as transaction:
        stored = [
            bytes(value)
            for row in transaction.execute(select(refresh_tokens))
            for value in row
            if isinstance(value, memoryview | bytes)
        ]

    assert stored
    assert not any(
        pair.refresh.encode() in value or value in pair.refresh.encode() for pair in (first, second) for value in stored
    )
