"""Keys in PostgreSQL turn while an edge that only looks at them now and then judges tokens."""

import time
from datetime import timedelta
from secrets import token_bytes

import pytest
from sqlalchemy import delete

from edge.keys import REFRESH_SECONDS, KeyRing
from edge.tokens import BadToken, Verifier
from rpc_services.identity.domain import ACCESS_LIFE, new_session
from rpc_services.identity.key_rotation import RETIRE_FOR, Schedule
from rpc_services.identity.signing import KeyCabinet, KeySigner
from rpc_services.identity.signing_keys import SqlSigningKeys, ensured_current
from rpc_services.identity.tables import signing_keys
from rpc_services.identity.tokens import Mint, Seed
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.fakes.clock import FakeClock
from tests.fakes.edge import FakeRpc, none_ended
from tests.fakes.identity import an_account

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


class Shop:
    """Identity's keys and an edge's view of them, minute by minute."""

    def __init__(self, scope, schedule):
        self.scope, self.schedule = scope, schedule
        self.clock, self.cabinet = FakeClock(), KeyCabinet("a passphrase for tests")
        self.account = an_account()
        self.minutes = 0
        self.ring = KeyRing(
            FakeRpc(get_jwks=self.published),
            algorithms=("ES256", "EdDSA"),
            monotonic=lambda: self.clock().timestamp(),
        )
        self.verifier = Verifier(
            keys=self.ring, issuer="kirana", audience="kirana-api", now=time.time,
            revocations=none_ended(), secret="s" * 32,
        )  # fmt: skip
        with scope.writing() as transaction:
            transaction.execute(delete(signing_keys))
            ensured_current(transaction, self.cabinet.new_key, self.clock, schedule)

    async def published(self, _arguments, _context):
        with self.scope.reading() as transaction:
            return {"keys": SqlSigningKeys(transaction).public()}

    async def pass_a_minute(self):
        """The edge reads the keys as rarely as it may, and no event tells it anything."""
        with self.scope.writing() as transaction:
            SqlSigningKeys(transaction, self.schedule).keep_turning(self.cabinet.new_key, self.clock)
        if self.minutes * 60 % REFRESH_SECONDS == 0:
            await self.ring.refresh()
        self.minutes += 1
        self.clock.advance(MINUTE)

    def a_token(self):
        with self.scope.writing() as transaction:
            key = ensured_current(transaction, self.cabinet.new_key, self.clock, self.schedule)
        return key.kid, self.signed_by(key)

    def signed_by(self, key):
        """Dated now: the libraries have only the real clock, and it is the key that grows old here."""
        mint = Mint(signer=KeySigner(self.cabinet, key), issuer="kirana", audience="kirana-api")
        session = new_session(new_id(), self.account.id, now())
        return mint.access(self.account, session, Seed(token_bytes(48)), now()).access

    def hasten(self):
        with self.scope.writing() as transaction:
            SqlSigningKeys(transaction, self.schedule).hasten(self.clock())


async def test_while_keys_turn_twice_not_one_token_that_is_alive_is_refused(scope):
    shop = Shop(scope, Schedule(algorithm="ES256", publish_ahead=timedelta(minutes=10)))
    alive, kids = [], set()
    for minute in range(100):
        if minute in {20, 50}:
            shop.schedule = Schedule(algorithm="ES256" if minute == 20 else "EdDSA", publish_ahead=10 * MINUTE)
            shop.hasten()
        await shop.pass_a_minute()
        kid, token = shop.a_token()
        kids.add(kid)
        alive = [(since, each) for since, each in alive if shop.clock() - since < ACCESS_LIFE] + [(shop.clock(), token)]

        callers = [await shop.verifier.verify(each) for _, each in alive]

        assert {caller.user_id for caller in callers} == {shop.account.id}
    assert len(kids) == 3


async def test_what_a_retired_key_signs_is_refused_once_it_is_published_no_more(scope):
    shop = Shop(scope, Schedule(algorithm="ES256", publish_ahead=timedelta(minutes=10)))
    await shop.pass_a_minute()
    with scope.reading() as transaction:
        old = SqlSigningKeys(transaction).current()
    shop.hasten()
    for _ in range(10 + int(RETIRE_FOR / MINUTE) + int(REFRESH_SECONDS / 60)):
        await shop.pass_a_minute()

    with pytest.raises(BadToken, match="unknown key"):
        await shop.verifier.verify(shop.signed_by(old))
    assert await shop.verifier.verify(shop.a_token()[1])
