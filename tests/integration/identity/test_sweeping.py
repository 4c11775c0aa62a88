"""What is over is forgotten a little at a time, and the signing keys turn whatever becomes of that."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, literal, select, text

from rpc_services.identity.assembly import assemble
from rpc_services.identity.domain import REVOCATION_MEMORY, SESSION_LIFE, Cutoff, new_session
from rpc_services.identity.service import Service
from rpc_services.identity.session_storage import SqlAnnounce, SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.session_use_cases import SessionEnds
from rpc_services.identity.storage import SqlAccounts, SqlClients
from rpc_services.identity.sweeping import BATCH, MOST_BATCHES, SESSIONS_AT_ONCE, sweep
from rpc_services.identity.tables import login_attempts, refresh_tokens, sessions, signing_keys
from shared.contracts.refusals import Unavailable
from shared.messaging.tables import event_sequences, outbox
from shared.values.identifiers import new_id
from tests.builders.postgres import an_engine_of
from tests.fakes.clock import FakeClock
from tests.fakes.identity import NOON, a_client, an_account

MONTH_LATER = NOON + SESSION_LIFE + timedelta(seconds=1)


@pytest.fixture(scope="module")
def engine(postgres):
    """A database of its own, for here all that is over goes."""
    with an_engine_of("identity", postgres) as engine:
        yield engine


class House:
    """Identity's database, and what is done in it, each in a transaction of its own."""

    def __init__(self, scope):
        self.scope = scope
        self.clock = FakeClock(NOON)
        self.account = an_account()
        self.deleted = []
        with scope.writing() as transaction:
            SqlAccounts(transaction, self.clock).add(self.account)

    def opened(self, *, tokens=0, at=NOON):
        session = new_session(new_id(), self.account.id, at)
        with self.scope.writing() as transaction:
            keeper = SqlSessions(transaction)
            keeper.open(session, at)
            for number in range(tokens):
                keeper.keep_token(f"{session.id} {number}".encode(), session.id, at)
        return session.id

    def end(self, session_id, user_id=None):
        with self.scope.writing() as transaction:
            keeper, grants = SqlSessions(transaction), SqlEndedGrants(transaction)
            ends = SessionEnds(keeper, grants, SqlCutoffs(transaction), SqlAnnounce(transaction), self.clock)
            ends.end(session_id, user_id or self.account.id, reason="logged out")

    def kept(self):
        return {*self.column(sessions.c.id, sessions.c.user_id == self.account.id)}

    def numbered(self, aggregate_id):
        return self.column(event_sequences.c.last, event_sequences.c.aggregate_id == aggregate_id)

    def column(self, column, condition):
        with self.scope.reading() as transaction:
            return transaction.scalars(select(column).where(condition)).all()

    @contextmanager
    def counting(self):
        """A transaction that notes how many rows it deleted, by whatever means."""
        deleted = text("SELECT sum(n_tup_del) FROM pg_stat_xact_user_tables")  # with some of this connection's past
        with self.scope.writing() as transaction:
            before = transaction.execute(deleted).scalar_one()
            yield transaction
            self.deleted.append(int(transaction.execute(deleted).scalar_one() - before))


@pytest.fixture
def house(scope):
    return House(scope)


def test_what_is_over_is_swept_and_what_is_not_stays(house):
    over, alive = house.opened(tokens=1), house.opened(tokens=1, at=NOON + timedelta(seconds=2))

    sweep(house.scope.writing, MONTH_LATER)

    assert house.kept() == {alive}
    assert house.column(refresh_tokens.c.session_id, refresh_tokens.c.session_id.in_([over, alive])) == [alive]


def test_however_many_tokens_a_session_has_no_transaction_deletes_many(house):
    for tokens in (3 * BATCH, 1, 0, BATCH):
        house.opened(tokens=tokens)

    sweep(house.counting, MONTH_LATER)

    assert house.kept() == set()
    assert max(house.deleted) <= BATCH + SESSIONS_AT_ONCE
    assert sum(house.deleted) == 4 * BATCH + 1 + 4


def test_so_much_is_forgotten_at_a_time_and_the_rest_at_the_next(house):
    many = BATCH * MOST_BATCHES + 1
    numbers = select(func.int8send(func.generate_series(1, many)), literal(NOON))
    with house.scope.writing() as transaction:
        transaction.execute(insert(login_attempts).from_select(["key", "paid_until"], numbers))

    swept = [sweep(house.scope.writing, NOON + timedelta(seconds=1)) for _ in range(3)]

    assert swept == [many - 1, 1, 0]


def test_nobody_who_is_at_a_row_is_waited_for(house):
    busy, idle = house.opened(tokens=2), house.opened(tokens=2)
    with house.scope.engine.begin() as refreshing:
        token = refresh_tokens.c.fingerprint == f"{busy} 0".encode()
        refreshing.execute(select(refresh_tokens).where(token).with_for_update())

        sweep(house.scope.writing, MONTH_LATER)
        assert house.kept() == {busy}

    sweep(house.scope.writing, MONTH_LATER)
    assert house.kept() == set()
    assert idle not in house.kept()


def test_a_cut_off_that_refuses_nothing_any_more_is_forgotten(house):
    cutoff = Cutoff.after(None, house.account.id, at=NOON, kept_session_id="")

    def is_kept_at(moment):
        sweep(house.scope.writing, datetime.fromtimestamp(moment, UTC))
        with house.scope.reading() as transaction:
            return SqlCutoffs(transaction).of(cutoff.subject) is not None

    with house.scope.writing() as transaction:
        SqlCutoffs(transaction).put(cutoff)

    assert is_kept_at(cutoff.forget_at)
    assert not is_kept_at(cutoff.forget_at + 1)


class TestTheNumbersOfEvents:
    def test_they_go_with_the_session_and_what_was_told_stays_as_it_was(self, house):
        over, alive = house.opened(), house.opened(at=NOON + timedelta(seconds=2))
        for session_id in (over, alive):
            house.end(session_id)

        sweep(house.scope.writing, MONTH_LATER)

        assert house.numbered(over) == []
        assert house.numbered(alive) == [1]
        assert house.column(outbox.c.sequence, outbox.c.aggregate_id == over) == [1]

    def test_they_go_with_the_end_of_a_grant(self, house):
        client, grant_id = a_client(f"partner {new_id()}"), new_id()
        with house.scope.writing() as transaction:
            SqlClients(transaction).add(client)
        house.end(grant_id, client.id)
        assert house.numbered(grant_id) == [1]

        sweep(house.scope.writing, NOON + REVOCATION_MEMORY + timedelta(seconds=1))

        assert house.numbered(grant_id) == []


def test_the_keys_turn_though_nothing_can_be_swept(house):
    settings = {"KIRANA_KEY_PASSPHRASE": "a passphrase for the tests", "KIRANA_JWT_ALGORITHM": "ES256"}
    service = Service()
    service.transactions, service.parts = house.scope, assemble(settings)

    with house.scope.engine.begin() as connection:
        connection.execute(text("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(Unavailable):
            service.keep_house()

    assert {*house.column(signing_keys.c.state, literal(value=True))} == {"current", "next"}
