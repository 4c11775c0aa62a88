"""Two processes change one cart, on a disk that fails and servers that forget: nothing is lost, nothing doubled."""

import random
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import pytest

from rpc_services.cart.journal import Journal, directly
from rpc_services.cart.shards import Shards
from rpc_services.cart.storage import RedisCarts
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.unit.rpc_services.cart.carts_behaviour import a_user, adding, an_operation, contents

ROUNDS = 8
BUYERS = 8
PRODUCTS = range(1, 97)
MOST_TRIES = 60
FAILS = 0.25


def a_tired_disk(function, *arguments):
    time.sleep(random.uniform(0, 0.004))
    if function.__name__ == "_write" and random.random() < FAILS:
        raise sqlite3.OperationalError("disk I/O error")
    return directly(function, *arguments)


@pytest.fixture(params=["one server", "two servers"])
def processes(request, servers, tmp_path):
    """With two, each process asks one of its own, as while the list of servers is changed."""
    with ExitStack() as stack:
        found = []
        for server in servers if request.param == "two servers" else [servers[0]] * 2:
            shards = stack.enter_context(closing(Shards([server.url])))
            journal = stack.enter_context(closing(Journal(tmp_path / "journal.sqlite3", run=a_tired_disk)))
            found.append(RedisCarts(shards, journal, clock=now, new_id=new_id))
        yield found


@contextmanager
def forgetting(servers):
    """Within, one of the servers forgets everything every few moments."""
    is_over = threading.Event()

    def forget():
        while not is_over.wait(random.uniform(0, 0.1)):
            empty([random.choice(servers)])

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def empty(servers):
    for server in servers:
        with server.client as client:
            client.flushall()


def is_told_done(processes, owner, product):
    """Whether a client that adds one and repeats itself was told so; some go away before."""
    change = adding(product, 1, an_operation(fingerprint="f" if product % 3 else ""))
    for _ in range(random.choice([3, MOST_TRIES])):
        try:
            random.choice(processes).change(owner, change)
        except (Unavailable, OutcomeUnknown):
            time.sleep(random.uniform(0, 0.01))
        else:
            return True
    return False


def test_what_was_told_as_done_is_in_the_cart_and_nothing_is_twice(processes, servers):
    told = Counter()
    for _ in range(ROUNDS):
        owner = a_user()
        add = partial(is_told_done, processes, owner)
        with forgetting(servers), ThreadPoolExecutor(BUYERS) as buyers:
            done = dict(zip(PRODUCTS, buyers.map(add, PRODUCTS), strict=True))

        empty(servers)
        kept = contents(processes[0].look(owner))
        told.update(done.values())
        assert not {product for product, yes in done.items() if yes and product not in kept}
        assert not {product: quantity for product, quantity in kept.items() if quantity != 1}

    assert told[True] > len(PRODUCTS)
