import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from secrets import token_bytes

import msgspec
import pytest
from sqlalchemy import event, select, text

from rpc_services.identity.domain import MOST_SESSIONS, REVOCATION_MEMORY
from rpc_services.identity.session_storage import SqlAnnounce, SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.session_use_cases import Login, Refreshing, SessionEnds, list_revoked_sessions
from rpc_services.identity.storage import SqlAccounts, SqlClients
from rpc_services.identity.sweeping import sweep
from rpc_services.identity.tables import ended_grants, refresh_tokens
from rpc_services.identity.tokens import Mint, Seed
from shared.contracts.identity import InvalidRefreshToken, RefreshTokens
from shared.messaging.tables import outbox
from shared.values.identifiers import new_id
from tests.builders.waiting import eventually
from tests.fakes.clock import FakeClock
from tests.fakes.identity import a_client, an_account


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
            login = Login(accounts, sessions, self.mint, self.ends(transaction), new_id)
            return login.open(self.account, Seed(token_bytes(48)))

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
        sessions, grants, cutoffs = SqlSessions(transaction), SqlEndedGrants(transaction), SqlCutoffs(transaction)
        return SessionEnds(sessions, grants, cutoffs, SqlAnnounce(transaction), self.clock)

    def end(self, session_id, user_id):
        with self.scope.writing() as transaction:
            self.ends(transaction).end(session_id, user_id, reason="logged out")

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
                sessions=SqlSessions(transaction),
                grants=SqlEndedGrants(transaction),
                cutoffs=SqlCutoffs(transaction),
                clock=self.clock,
            )
        return listed.sessions, listed.users.get(self.account.id)

    def told(self, kind="session.revoked", *, user_id=None):
        with self.scope.reading() as transaction:
            rows = transaction.scalars(select(outbox.c.data).where(outbox.c.type == kind).order_by(outbox.c.id))
            return [row for row in rows if row["user_id"] == (user_id or self.account.id)]


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

    books.end(books.session_of(kept), books.account.id)

    assert books.session_of(kept) in books.listed()[0]


def test_a_session_that_ended_just_before_a_cut_off_kept_it_is_listed_beside_it(books):
    kept = books.log_in()
    books.end(books.session_of(kept), books.account.id)
    books.clock.advance(timedelta(seconds=1))

    books.end_all(but=books.session_of(kept))

    assert books.session_of(kept) in books.listed()[0]


def test_those_who_end_all_sessions_at_once_get_cut_offs_that_differ(books):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: books.end_all(), range(12)))

    moments = [told["issued_before"] for told in books.told("user.sessions_revoked")]
    assert moments == sorted(set(moments))
    assert len(moments) == 12


def test_of_those_who_log_in_at_once_each_too_many_ends_one_that_is_older_and_tells_it(books):
    opened = []
    for _ in range(MOST_SESSIONS):
        opened.append(books.session_of(books.log_in()))
        books.clock.advance(timedelta(seconds=1))

    with ThreadPoolExecutor(6) as pool:
        pairs = list(pool.map(lambda _: books.log_in(), range(8)))

    assert [told["session_id"] for told in books.told()] == opened[:8]
    assert books.listed()[0].keys() >= {*opened[:8]}
    assert not any(isinstance(books.refresh(pair), InvalidRefreshToken) for pair in pairs)


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


class TestGrants:
    @pytest.fixture
    def client(self, scope):
        client = a_client(f"partner {new_id()}")
        with scope.writing() as transaction:
            SqlClients(transaction).add(client)
        yield client
        with scope.writing() as transaction:
            SqlClients(transaction).remove(client.id)

    def kept(self, scope, client):
        with scope.reading() as transaction:
            return list(transaction.scalars(select(ended_grants.c.id).where(ended_grants.c.client_id == client.id)))

    def test_of_many_who_end_one_grant_at_once_one_tells_it_and_it_is_listed(self, books, client):
        grant_id = new_id()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: books.end(grant_id, client.id), range(12)))

        (told,) = books.told(user_id=client.id)
        assert told["session_id"] == grant_id
        assert books.listed()[0][grant_id] == told["forget_at"]

    def test_it_is_forgotten_when_no_token_of_it_can_be_alive(self, books, client):
        grant_id = new_id()
        books.end(grant_id, client.id)

        for memory in (REVOCATION_MEMORY, timedelta(seconds=1)):
            assert self.kept(books.scope, client) == [grant_id]
            books.clock.advance(memory)
            sweep(books.scope.writing, books.clock())

        assert self.kept(books.scope, client) == []
        assert grant_id not in books.listed()[0]

    def test_of_a_client_that_is_just_being_removed_nothing_is_ended(self, books, client):
        with ThreadPoolExecutor(1) as pool:
            with books.scope.writing() as transaction:
                SqlClients(transaction).remove(client.id)
                ending = pool.submit(books.end, new_id(), client.id)
                eventually(lambda: is_waiting_for_a_lock(books.scope), what="the end of the grant waiting")
            ending.result()

        assert books.told(user_id=client.id) == []

    def test_what_ended_goes_with_its_client(self, books, client):
        books.end(new_id(), client.id)

        with books.scope.writing() as transaction:
            SqlClients(transaction).remove(client.id)

        assert self.kept(books.scope, client) == []

    def test_a_user_who_logs_out_costs_no_look_among_the_grants(self, books):
        session_id = books.session_of(books.log_in())
        with books.scope.writing() as transaction:
            statements = []
            connection = transaction.connection()
            event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
            books.ends(transaction).end(session_id, books.account.id, reason="logged out")
            transaction.flush()

        assert any("UPDATE sessions" in statement for statement in statements)
        assert not any("ended_grants" in statement for statement in statements)


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
