from prometheus_client.parser import text_string_to_metric_families

from rpc_services.cart.pools import Pools
from rpc_services.cart.shards import Shards
from shared.metrics.rendering import rendered


def told(pools):
    text = "".join(rendered([pools]))
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(each.name, each.labels["store"], each.labels.get("state")): each.value for each in samples}


def test_each_server_of_carts_tells_what_its_pool_lends_keeps_and_may_have():
    shards, pools = Shards(["redis://one:1/0", "redis://two:2/0"]), Pools()
    lent = shards.clients[1].connection_pool
    lent._in_use_connections |= {lent.make_connection() for _ in range(3)}
    lent._available_connections += [lent.make_connection() for _ in range(2)]
    pools.watch(shards)

    found = told(pools)

    assert found["kirana_redis_connections", "carts-1", "used"] == 0
    assert found["kirana_redis_connections", "carts-2", "used"] == 3
    assert found["kirana_redis_connections", "carts-2", "idle"] == 2
    assert found["kirana_redis_connections_limit", "carts-2", None] == lent.max_connections


def test_before_there_are_servers_nothing_is_told():
    assert told(Pools()) == {}
