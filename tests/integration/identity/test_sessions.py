import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from secrets import token_bytes

import msgspec
import pytest
from sqlalchemy import select, text

from rpc_services.identity.session_storage import SqlAnnounce, SqlCutoffs, SqlSessions
from rpc_services.identity.session_use_cases import Login, Refreshing, SessionEnds, list_revoked_sessions
from rpc_services.identity.storage import SqlAccounts
from rpc_services.identity.tables import refresh_tokens
from rpc_services.identity.tokens import Mint, Seed
from shared.contracts.identity import InvalidRefreshToken, RefreshTokens
from shared.messaging.tables import outbox
from shared.values.identifiers import new_id
from tests.builders.waiting import eventually
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
            return self.exchanged(transaction, pair)

    def exchanged(self, transaction, pair):
        sessions = SqlSessions(transaction)
        ends = self.ends(transaction)
        accounts = SqlAccounts(transaction, self.clock)
        refreshing = Refreshing(accounts, sessions, self.mint, ends, b"secret", lambda: token_bytes(16))
        return refreshing.exchange(RefreshTokens(refresh=pair.refresh))

    def ends(self, transaction):
        return SessionEnds(SqlSessions(transaction), SqlCutoffs(transaction), SqlAnnounce(transaction), self.clock)

    def end_all(self, *, but=""):
        with self.scope.writing() as transaction:
            SqlAccounts(transaction, self.clock).locked(self.account.id)
            self.ends(transaction).end_all_of(self.account.id, reason="test", but=but)

    def issued_at(self, pair):
        return int(re.search(r"'iat': ([0-9]+)", pair.access)[1])

    def session_of(self, pair):
        return re.search(r"'sid': '([^']+)'", pair.access)[1]

    def listed(self):
        with self.scope.reading() as transaction:
            listed = list_revoked_sessions(
                sessions=SqlSessions(transaction), cutoffs=SqlCutoffs(transaction), clock=self.clock
            )
        return listed.sessions, listed.users.get(self.account.id)

    def told(self, kind="session.revoked"):
        with self.scope.reading() as transaction:
            rows = transaction.scalars(select(outbox.c.data).where(outbox.c.type == kind).order_by(outbox.c.id))
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


def test_ending_all_sessions_but_one_is_one_event_and_one_entry_however_many_they_are(books):
    kept, *others = (books.log_in() for _ in range(12))

    books.end_all(but=books.session_of(kept))

    (told,) = books.told("user.sessions_revoked")
    sessions, user = books.listed()
    assert msgspec.to_builtins(user) | {"user_id": books.account.id} == told
    assert told["kept_session_id"] == books.session_of(kept)
    assert not sessions.keys() & {books.session_of(pair) for pair in others}
    assert not isinstance(books.refresh(kept), InvalidRefreshToken)
    assert all(isinstance(books.refresh(pair), InvalidRefreshToken) for pair in others)


def test_a_session_that_ends_alone_after_a_cut_off_is_listed_beside_it(books):
    kept = books.log_in()
    books.end_all(but=books.session_of(kept))
    books.clock.advance(timedelta(seconds=1))

    with books.scope.writing() as transaction:
        books.ends(transaction).end(books.session_of(kept), books.account.id, reason="logged out")

    assert books.session_of(kept) in books.listed()[0]


def test_those_who_end_all_sessions_at_once_get_cut_offs_that_differ(books):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: books.end_all(), range(12)))

    moments = [told["issued_before"] for told in books.told("user.sessions_revoked")]
    assert moments == sorted(set(moments))
    assert len(moments) == 12


def is_waiting_for_a_lock(scope):
    with scope.engine.connect() as connection:
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return connection.execute(waiting).scalar_one() > 0


def test_a_token_made_while_its_session_was_being_ended_is_among_those_refused(books):
    pair = books.log_in()

    with ThreadPoolExecutor(1) as pool:
        with books.scope.writing() as transaction:
            successor = books.exchanged(transaction, pair)
            ending = pool.submit(books.end_all)
            eventually(lambda: is_waiting_for_a_lock(books.scope), what="the end of all sessions waiting")
            books.clock.advance(timedelta(seconds=5))
        ending.result()

    (told,) = books.told("user.sessions_revoked")
    assert books.issued_at(successor) < told["issued_before"]
    assert told["issued_before"] > books.clock().timestamp()


def test_a_session_that_is_just_being_ended_is_not_carried_on(books):
    pair = books.log_in()

    with ThreadPoolExecutor(1) as pool:
        with books.scope.writing() as transaction:
            books.ends(transaction).end_all_of(books.account.id, reason="test")
            refreshing = pool.submit(books.refresh, pair)
            eventually(lambda: is_waiting_for_a_lock(books.scope), what="the refresh waiting")
        outcome = refreshing.result()

    assert isinstance(outcome, InvalidRefreshToken)


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
