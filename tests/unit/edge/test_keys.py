import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from structlog.testing import capture_logs

from edge.keys import COOLDOWN_SECONDS, REFRESH_SECONDS, STALE_SECONDS, KeyRing, NoKeys
from edge.rpc.failures import NotExecuted
from tests.builders.keys import FAMILIES, a_private_key, public_jwk
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, public_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Identity:
    """Counts how often it is asked; away while ``away``; slow while ``gate`` is closed."""

    def __init__(self, *keys):
        self.keys, self.asked, self.away = list(keys), 0, False
        self.rpc = FakeRpc(get_jwks=self._answer)
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()

    def ring(self, **options):
        return KeyRing(self.rpc, monotonic=lambda: self.now, **options)

    async def _answer(self, _arguments, _context):
        self.asked += 1
        keys = list(self.keys)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.away:
            raise NotExecuted("away")
        return {"keys": keys}


async def test_ten_thousand_unknown_key_ids_ask_identity_once_per_cooldown():
    identity = Identity(public_key())
    ring = identity.ring()

    for round_ in (1, 2):
        found = await asyncio.gather(*(ring.find(f"unknown-{number}") for number in range(10_000)))
        assert found == [None] * 10_000
        assert identity.asked == round_
        identity.now += COOLDOWN_SECONDS


async def test_unknown_key_ids_do_not_ask_within_the_cooldown_one_after_the_other_either():
    identity = Identity(public_key())
    ring = identity.ring()

    for number in range(100):
        identity.now += COOLDOWN_SECONDS / 200
        assert await ring.find(f"unknown-{number}") is None

    assert identity.asked == 1


async def test_who_gives_up_waiting_does_not_take_the_answer_from_the_others():
    identity = Identity(public_key())
    identity.gate.clear()
    ring = identity.ring()
    first, second = (asyncio.create_task(ring.find("current")) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.sleep(0)
    identity.gate.set()

    assert (await second) is not None
    assert identity.asked == 1


async def test_a_new_key_is_found_by_the_first_token_that_names_it():
    identity = Identity(public_key())
    ring = identity.ring()
    await ring.find("current")
    identity.keys.append(public_key(key_id="next"))
    identity.now = COOLDOWN_SECONDS

    assert await ring.find("next") is not None
    assert identity.asked == 2


async def test_a_key_stays_the_same_object_until_its_material_changes():
    identity = Identity(public_key())
    ring = identity.ring()
    await ring.refresh()
    before = ring.known("current")

    await ring.refresh()
    assert ring.holds(before)
    identity.keys = [public_key(a_private_key("RS256"))]
    await ring.refresh()

    assert ring.known("current") is not None
    assert not ring.holds(before)


async def test_known_keys_go_on_while_identity_is_away_and_unknown_ones_cannot_be_judged():
    identity = Identity(public_key())
    ring = identity.ring()
    await ring.refresh()
    identity.away = True
    await ring.refresh()

    assert await ring.find("current") is not None
    with pytest.raises(NoKeys):
        await ring.find("unknown")


async def test_keys_that_nobody_confirmed_for_an_hour_are_given_up():
    identity = Identity(public_key())
    ring = identity.ring()
    await ring.refresh()
    identity.away = True

    identity.now = STALE_SECONDS - 1
    await ring.refresh()
    assert await ring.find("current") is not None
    identity.now = STALE_SECONDS
    await ring.refresh()

    with pytest.raises(NoKeys):
        await ring.find("current")


async def test_without_any_key_nothing_can_be_judged():
    identity = Identity()
    identity.away = True

    with pytest.raises(NoKeys):
        await identity.ring().find("current")


async def test_identitys_absence_is_told_once_and_so_is_its_return():
    identity = Identity(public_key())
    ring = identity.ring()

    with capture_logs() as logs:
        for identity.away in (True, True, True, False, False):
            await ring.refresh()

    assert [one["event"] for one in logs] == ["edge.keys_not_refreshed", "edge.keys_refreshed_again"]


async def test_a_withdrawn_key_counts_no_more_from_the_moment_identity_says_so():
    identity = Identity(public_key(), public_key(key_id="next"))
    ring = identity.ring()
    await ring.refresh()
    identity.gate.clear()

    turning = asyncio.create_task(ring.turned(["next"]))
    await asyncio.sleep(0)

    assert (ring.known("current"), ring.known("next") is not None) == (None, True)
    identity.keys.pop(0)
    identity.gate.set()
    await turning


async def test_an_answer_that_left_before_the_keys_turned_does_not_bring_a_withdrawn_one_back():
    identity = Identity(public_key(), public_key(key_id="next"))
    ring = identity.ring()
    identity.gate.clear()
    early = asyncio.create_task(ring.refresh())
    await eventually_async(lambda: identity.asked)

    identity.keys.pop(0)
    turning = asyncio.create_task(ring.turned(["next"]))
    await asyncio.sleep(0)
    identity.gate.set()
    await asyncio.gather(early, turning)

    assert (ring.known("current"), ring.known("next") is not None) == (None, True)


UNUSABLE = {
    "a secret": {"kty": "oct", "kid": "k", "k": "eA"},
    "no key id": public_jwk(a_private_key("RS256"), key_id=None),
    "another algorithm": public_jwk(a_private_key("ES256"), key_id="k"),
    "another use": public_jwk(a_private_key("RS256"), key_id="k", use="enc"),
    "another operation": public_jwk(a_private_key("RS256"), key_id="k", key_ops=["encrypt"]),
    "an algorithm that does not fit": public_jwk(a_private_key("RS256"), key_id="k", alg="ES256"),
    "a short key": public_jwk(rsa.generate_private_key(65537, 1024), key_id="k"),
    "a private half": FAMILIES[rsa.RSAPrivateKey].to_jwk(a_private_key("RS256"), as_dict=True)
    | {"kid": "k", "key_ops": ["verify"]},
    "nonsense for a number": public_jwk(a_private_key("RS256"), key_id="k", n="!"),
    "another curve": public_jwk(ec.generate_private_key(ec.SECP384R1()), key_id="k"),
    "no object": "k",
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_key_that_is_not_for_this_is_passed_over_and_harms_no_other(name):
    ring = Identity(UNUSABLE[name], public_key()).ring()

    assert await ring.find("k") is None
    assert await ring.find("current") is not None


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_key_serves_the_one_algorithm_that_fits_it_if_that_is_listed(algorithm):
    member = public_jwk(a_private_key(algorithm), key_id="k")
    listed, unlisted = (
        Identity(member, public_key()).ring(algorithms=each) for each in ((algorithm,), ("RS256", "ES256", "EdDSA"))
    )

    assert (await listed.find("k")).algorithm == algorithm
    assert (await unlisted.find("k")).algorithm == algorithm
    others = tuple({"RS256", "ES256", "EdDSA"} - {algorithm})
    assert (
        await Identity(member, public_jwk(ed25519.Ed25519PrivateKey.generate(), key_id="x"), public_key())
        .ring(algorithms=others)
        .find("k")
        is None
    )


async def test_opening_loads_the_keys_and_closing_ends_the_refreshing():
    identity = Identity(public_key())
    before = len(asyncio.all_tasks())

    ring = identity.ring()
    await ring.open()
    key = ring.known("current")
    await ring.close()

    assert key is not None
    assert len(asyncio.all_tasks()) == before


async def test_a_look_of_anybody_that_failed_is_made_again_soon_and_not_at_the_next_turn_of_all():
    identity = Identity(public_key())
    ring = identity.ring()
    await ring.open()
    identity.keys, identity.away = [public_key(key_id="next")], True
    await ring.turned(["next"])

    identity.away = False
    await eventually_async(lambda: ring.known("next") is not None, within=REFRESH_SECONDS / 10)
    await ring.close()
