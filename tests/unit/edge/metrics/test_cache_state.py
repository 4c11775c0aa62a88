from edge.cache.answering import ResponseCache
from edge.metrics.cache import CacheState


def samples(cache):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in CacheState(cache).collect()
        for sample in family.samples
    }


def test_what_the_cache_did_and_holds_is_told():
    cache = ResponseCache()
    cache.tallies["get_product"].hit += 3
    cache.tallies["get_product"].stale += 1
    cache.purges["product.changed"] += 2
    cache.local.bytes, cache.local.evictions = 500, 4
    cache.shared.counts["failures"] += 5

    found = samples(cache)

    assert found["kirana_edge_cache_requests_total", "hit", "get_product"] == 3
    assert found["kirana_edge_cache_requests_total", "stale", "get_product"] == 1
    assert found["kirana_edge_cache_requests_total", "bypass", "get_product"] == 0
    assert found["kirana_edge_cache_purges_total", "product.changed"] == 2
    assert found["kirana_edge_cache_bytes",] == 500
    assert found["kirana_edge_cache_evictions_total",] == 4
    assert found["kirana_edge_cache_shared_failures_total",] == 5


def test_an_idle_cache_tells_zeros():
    found = samples(ResponseCache())

    assert found["kirana_edge_cache_bytes",] == found["kirana_edge_cache_shared_failures_total",] == 0
