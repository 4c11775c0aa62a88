from collections import Counter

from rpc_services.cart.shards import Shards, choose

KEYS = [f"user:{number}" for number in range(3000)]


def test_carts_are_spread_over_all_servers():
    shares = Counter(choose(key, ["a", "b", "c"]) for key in KEYS)

    assert min(shares.values()) > 800


def test_a_new_server_takes_carts_only_for_itself():
    before = {key: choose(key, ["a", "b", "c"]) for key in KEYS}

    after = {key: choose(key, ["a", "b", "c", "d"]) for key in KEYS}

    moved = {after[key] for key in KEYS if after[key] != before[key]}
    assert moved == {"d"}


def test_a_new_password_moves_no_cart():
    old = Shards(["redis://:old@one:1/0", "redis://:old@two:2/0"])
    new = Shards(["redis://:new@one:1/0", "redis://:new@two:2/0"])

    def home(shards, key):
        return shards.client_for(key).connection_pool.connection_kwargs["host"]

    assert all(home(old, key) == home(new, key) for key in KEYS[:200])
