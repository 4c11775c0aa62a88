from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session

from rpc_services.notification.storage import SqlClaims, SqlDeliveries
from tests.fakes.notification import LEASE, NOON, DeliveriesBehaviour, a_delivery


class CommittedDeliveries:
    """Each call in a transaction of its own, as the doors do it."""

    def __init__(self, scope):
        self.scope = scope

    def __getattr__(self, name):
        def call(*args, **kwargs):
            with self.scope.writing() as transaction:
                return getattr(SqlDeliveries(transaction), name)(*args, **kwargs)

        return call


class TestSqlDeliveries(DeliveriesBehaviour):
    @pytest.fixture
    def deliveries(self, scope):
        return CommittedDeliveries(scope)

    @pytest.fixture
    def claims(self, scope):
        return SqlClaims(scope.writing)


def test_many_postmen_never_claim_the_same_message(scope):
    for _ in range(60):
        CommittedDeliveries(scope).add(a_delivery())
    claims = SqlClaims(scope.writing)

    with ThreadPoolExecutor(6) as pool:
        rounds = list(pool.map(lambda _: claims.claim(limit=7, at=NOON, until=NOON + LEASE), range(18)))

    claimed = [each.id for batch in rounds for each in batch]
    assert len(claimed) == len(set(claimed)) == 60


def test_the_bell_rings_when_a_new_message_is_committed_and_not_before(engine, scope):
    rung = []
    delivery = a_delivery()
    with Session(engine) as transaction:
        SqlDeliveries(transaction, lambda: rung.append(True)).add(delivery)
        assert not rung
        transaction.commit()
    assert rung

    rung.clear()
    with Session(engine) as transaction:
        SqlDeliveries(transaction, lambda: rung.append(True)).add(delivery)
        transaction.commit()
    assert not rung
