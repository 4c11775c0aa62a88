"""Many carts that are looked at at once take one journey to each of their servers."""

import pytest
import redis

from rpc_services.cart import domain
from rpc_services.cart.domain import CartLine, Owner, Snapshot
from rpc_services.cart.storage import RedisCarts
from shared.contracts.refusals import Unavailable
from shared.nameko_ext.loading import Loader
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.builders.together import together

SNAPSHOT = Snapshot(name="Thing", image="", unit_price="1.00", currency="EUR")


@pytest.fixture
def journeys():
    return []


@pytest.fixture
def carts(shards, journal, journeys):
    def as_a_service_does(look_at):
        def note(owners):
            journeys.append(len(owners))
            return look_at(owners)

        return Loader(note).get

    return RedisCarts(shards, journal, clock=now, new_id=new_id, together=as_a_service_does)


def filled(carts, count):
    owners = [Owner.user(new_id()) for _ in range(count)]
    for number, owner in enumerate(owners):
        line = CartLine(product_id=number + 1, quantity=1, snapshot=SNAPSHOT)
        carts.change(owner, domain.add(line, None, opens=True))
    return owners


def test_each_gets_its_own_cart_and_each_server_is_asked_once(carts, journeys):
    owners = filled(carts, 30)

    *seen, none = together(carts.look, *owners, Owner.user(new_id()))

    assert [cart.product_ids for cart in seen] == [[number] for number in range(1, 31)]
    assert none is None
    assert len(journeys) == 2
    assert sum(journeys) == 31


def test_a_cart_that_redis_lost_or_has_an_old_state_of_is_brought_back(carts, shards):
    lost, old, whole = filled(carts, 3)
    shards.client_for(lost.key).delete(f"cart:{lost.key}")
    shards.client_for(old.key).hset(f"cart:{old.key}", mapping={"version": "0", "q:2": "77"})

    seen = together(carts.look, lost, old, whole)

    assert [(cart.version, cart.lines[0].quantity) for cart in seen] == [(1, 1)] * 3
    assert shards.client_for(lost.key).exists(f"cart:{lost.key}")


def test_a_cart_that_cannot_be_read_harms_nobody_else(carts, shards):
    broken, torn, whole = filled(carts, 3)
    shards.client_for(broken.key).delete(f"cart:{broken.key}")
    shards.client_for(broken.key).set(f"cart:{broken.key}", "no hash")
    shards.client_for(torn.key).hdel(f"cart:{torn.key}", "s:2")

    fault, other_fault, seen = together(carts.look, broken, torn, whole)

    assert isinstance(fault, redis.ResponseError)
    assert isinstance(other_fault, KeyError)
    assert seen.product_ids == [3]


def test_a_server_that_is_away_takes_only_its_own_carts_with_it(carts, shards, servers):
    owners = filled(carts, 20)
    away = [owner for owner in owners if _port(shards, owner) == servers[0].port]
    servers[0].kill()

    try:
        seen = dict(zip(owners, together(carts.look, *owners), strict=True))
    finally:
        servers[0].start()

    assert 0 < len(away) < 20
    assert {owner for owner, cart in seen.items() if isinstance(cart, Unavailable)} == set(away)


def _port(shards, owner):
    return shards.client_for(owner.key).connection_pool.connection_kwargs["port"]
