from types import SimpleNamespace

import eventlet
import pytest

from rpc_services.cart.domain import Owner
from rpc_services.cart.service import Carts, Products
from shared.contracts.catalog import GET_PRODUCTS
from shared.contracts.refusals import Unavailable
from shared.nameko_ext.container import ServiceContainer
from shared.nameko_ext.metrics import ContainerState


@pytest.fixture
def container():
    return ServiceContainer(type("Service", (), {"name": "cart"}))


def read_batches(*dependencies):
    """How often each loader asked, and for how much in all."""
    container = SimpleNamespace(
        service_name="cart", shared_extensions={}, dependencies=dependencies, entrypoints=(), in_hand=0, waiting=0
    )
    told = {
        (sample.name.removeprefix("kirana_read_batch_size_"), sample.labels["loader"]): sample.value
        for family in ContainerState(container).collect()
        for sample in family.samples
        if sample.name.startswith("kirana_read_batch_size")
    }
    return {loader: (told["count", loader], told["sum", loader]) for _, loader in told}


def test_carts_that_are_looked_at_together_are_told_by_their_server_as_its_pool_is(container, tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_REDIS_CARTS", "redis://127.0.0.1:1/0,redis://127.0.0.1:2/0")
    monkeypatch.setenv("KIRANA_CART_JOURNAL", str(tmp_path / "journal"))
    carts = Carts().bind(container, "stores")
    carts.setup()
    shards, looking = carts.settings.shards, carts.settings.carts
    owners = [Owner.user(str(number)) for number in range(50)]
    second = [owner for owner in owners if shards.client_for(owner.key) is shards.clients[1]]

    asked = [eventlet.spawn(looking.look, owner) for owner in second]
    for each in asked:
        with pytest.raises(Unavailable):  # nobody listens there
            each.wait()

    assert read_batches(carts) == {"carts-1": (0, 0), "carts-2": (1, len(second))}


def test_baskets_that_are_priced_together_are_told(container):
    products = Products("catalog").bind(container, "products")
    asked = []

    def answer(service, question):
        asked.append((service, question.method))
        return SimpleNamespace(result=b"[]", error=b"null")

    products.asking = SimpleNamespace(ask=answer)
    products.setup()
    found = products.get_dependency(None)

    pricing = [eventlet.spawn(found.find, [number]) for number in range(5)]

    assert [each.wait() for each in pricing] == [{}] * 5
    assert asked == [("catalog", GET_PRODUCTS)]
    assert read_batches(products) == {"products": (1, 5)}
    products.stop()
