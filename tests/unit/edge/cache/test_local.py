import tracemalloc
from collections import OrderedDict

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.cache.entries import OVERHEAD, Entry, Held
from edge.cache.local import LocalStore

LIMIT = 5 * OVERHEAD
KEYS = st.sampled_from("abcdefgh")
TAGS = st.sets(st.sampled_from(["one", "two", "three"]))


def held(key, *, size=0, tags=(), now=0.0):
    entry = Entry(
        key=key, body=b"x" * size, content_type=None, headers=[], tags=tuple(tags), fetched_at=0.0, ttl=10.0,
        while_revalidating=10.0, if_error=100.0,
    )  # fmt: skip
    return Held(entry, age=0.0, now=now)


class AgainstAModel(RuleBasedStateMachine):
    """The model is a list in order of use, purged and cut by brute force."""

    def __init__(self):
        super().__init__()
        self.store = LocalStore(LIMIT)
        self.model = OrderedDict()
        self.evicted = 0

    @rule(key=KEYS, size=st.sampled_from([0, OVERHEAD, 3 * OVERHEAD, LIMIT]), tags=TAGS)
    def put(self, key, size, tags):
        new = held(key, size=size, tags=tags)
        self.model.pop(key, None)
        if new.size <= LIMIT:
            self.model[key] = new
        while sum(one.size for one in self.model.values()) > LIMIT:
            self.model.popitem(last=False)
            self.evicted += 1

        assert self.store.put(new) == (new.size <= LIMIT)

    @rule(key=KEYS)
    def get(self, key):
        if key in self.model:
            self.model.move_to_end(key)

        assert self.store.get(key) is self.model.get(key)

    @rule(key=KEYS)
    def drop(self, key):
        self.model.pop(key, None)

        self.store.drop(key)

    @rule(tags=TAGS)
    def purge(self, tags):
        gone = [key for key, one in self.model.items() if tags & set(one.entry.tags)]
        for key in gone:
            del self.model[key]

        assert self.store.purge(tags) == len(gone)

    @invariant()
    def they_agree(self):
        assert list(self.store._held.items()) == list(self.model.items())
        assert self.store.bytes == sum(one.size for one in self.model.values()) <= LIMIT
        assert self.store.evictions == self.evicted
        indexed = {(tag, key) for tag, keys in self.store._by_tag.items() for key in keys}
        assert indexed == {(tag, key) for key, one in self.model.items() for tag in one.entry.tags}
        assert all(self.store._by_tag.values())


AgainstAModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestTheStoreAgainstAModel = AgainstAModel.TestCase


def test_what_is_distrusted_is_neither_fresh_nor_given_while_refreshing():
    store = LocalStore(LIMIT)
    store.put(held("a"))

    store.distrust(5.0)

    one = store.get("a")
    assert (one.fresh_until, one.revalidate_until, one.error_until) == (5.0, 5.0, 110.0)


def test_what_is_counted_is_no_less_than_what_is_used():
    """Entries as they come from Redis, where nothing is shared between them."""
    packed = [
        msgspec.msgpack.encode(
            Entry(
                key=f"get_product\nabcdefabcdef\n{number}", body=b"%d" % number * 60, content_type="application/json",
                headers=[("cache-control", "public, no-cache"), ("etag", f'"1-{number:016x}"')], fetched_at=1.5,
                tags=("all", f"path:/api/products/{number}", f"product:{number}"), ttl=5.0,
                while_revalidating=3.0, if_error=9.0,
            )
        )
        for number in range(3000)
    ]  # fmt: skip
    store = LocalStore(10**9)

    tracemalloc.start()
    try:
        for number, raw in enumerate(packed):
            store.put(Held(msgspec.msgpack.decode(raw, type=Entry), age=0.0, now=float(number)))
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert used <= store.bytes <= 2 * used
