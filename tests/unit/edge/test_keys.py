import asyncio

import pytest
from structlog.testing import capture_logs

from edge.keys import KeyRing, NoKeys
from edge.rpc.failures import NotExecuted
from tests.fakes.edge import FakeRpc, public_key


class Identity:
    """Counts how often it is asked; away while ``away``."""

    def __init__(self, *keys):
        self.keys, self.asked, self.away = list(keys), 0, False
        self.rpc = FakeRpc(get_jwks=self._answer)

    async def _answer(self, _arguments, _context):
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise NotExecuted("away")
        return {"keys": self.keys}


def test_a_flood_of_unknown_key_ids_asks_identity_once_per_cooldown():
    identity, now = Identity(public_key()), [0.0]
    ring = KeyRing(identity.rpc, monotonic=lambda: now[0])

    async def flood():
        return await asyncio.gather(*(ring.find(f"unknown-{number}") for number in range(100)))

    async def two_floods():
        yield await flood(), identity.asked
        now[0] = 31.0
        yield await flood(), identity.asked

    async def collected():
        return [one async for one in two_floods()]

    assert asyncio.run(collected()) == [([None] * 100, 1), ([None] * 100, 2)]


def test_a_new_key_is_found_by_the_first_token_that_names_it():
    identity, now = Identity(public_key()), [0.0]
    ring = KeyRing(identity.rpc, monotonic=lambda: now[0])
    asyncio.run(ring.find("current"))
    identity.keys.append(public_key(key_id="next"))
    now[0] = 31.0

    assert asyncio.run(ring.find("next")) is not None
    assert identity.asked == 2


def test_the_last_good_keys_outlive_identity():
    identity = Identity(public_key())
    ring = KeyRing(identity.rpc)
    asyncio.run(ring.refresh())
    identity.away = True
    asyncio.run(ring.refresh())

    assert asyncio.run(ring.find("current")) is not None


def test_without_any_key_nothing_can_be_judged():
    identity = Identity()
    identity.away = True

    with pytest.raises(NoKeys):
        asyncio.run(KeyRing(identity.rpc).find("current"))


def test_identitys_absence_is_told_once_and_so_is_its_return():
    identity = Identity(public_key())
    ring = KeyRing(identity.rpc)

    with capture_logs() as logs:
        for identity.away in (True, True, True, False, False):
            asyncio.run(ring.refresh())

    assert [one["event"] for one in logs] == ["edge.keys_not_refreshed", "edge.keys_refreshed_again"]


def test_keys_of_other_kinds_are_passed_over():
    ring = KeyRing(Identity({"kty": "oct", "kid": "secret", "k": "eA"}, {"kty": "RSA"}, public_key()).rpc)

    assert asyncio.run(ring.find("secret")) is None
    assert asyncio.run(ring.find("current")) is not None


def test_opening_loads_the_keys_and_closing_ends_the_refreshing():
    identity = Identity(public_key())

    async def live():
        ring = KeyRing(identity.rpc)
        await ring.open()
        key = await ring.find("current")
        await ring.close()
        return key, len(asyncio.all_tasks())

    key, tasks = asyncio.run(live())
    assert key is not None
    assert tasks == 1
