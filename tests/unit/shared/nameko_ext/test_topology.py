from shared.nameko_ext import topology


def test_an_event_queue_is_named_as_stock_nameko_names_it():
    queue = topology.event_queue("order", "order.placed", "notification", "on_order_placed")

    assert queue.name == "evt-order-order.placed--notification.on_order_placed"
    assert queue.exchange == "order.events"
    assert queue.routing_key == "order.placed"
    assert queue.retry_name(5000) == "retry.5s.evt-order-order.placed--notification.on_order_placed"


class Declared:
    """A channel that remembers."""

    def __init__(self):
        self.queues = {}

    def queue_declare(self, name, **options):
        self.queues[name] = options

    def exchange_declare(self, *_, **options):
        assert options == {"durable": True, "auto_delete": False}

    def queue_bind(self, *_):
        pass


def test_every_queue_is_durable_shared_and_stays():
    channel = Declared()

    topology.declare_rpc(channel, "demo")
    topology.declare_events(channel, topology.event_queue("order", "order.placed", "demo", "hear"))

    assert len(channel.queues) == 7
    for options in channel.queues.values():
        assert (options["durable"], options["exclusive"], options["auto_delete"]) == (True, False, False)


def test_an_event_is_as_safe_while_it_waits_for_its_next_try_as_before_its_first():
    channel = Declared()

    topology.declare_events(channel, topology.event_queue("order", "order.placed", "demo", "hear"))

    waiting = [options["arguments"] for name, options in channel.queues.items() if name.startswith("retry.")]
    assert [arguments["x-message-ttl"] for arguments in waiting] == [1000, 5000, 30_000]
    for arguments in waiting:
        assert (arguments["x-queue-type"], arguments["x-dead-letter-strategy"]) == ("quorum", "at-least-once")
        assert arguments["x-overflow"] == "reject-publish"  # without it the strategy is not obeyed


def test_requests_have_a_plain_queue_and_events_a_quorum_queue_that_parks():
    channel = Declared()

    topology.declare_rpc(channel, "demo")
    topology.declare_events(channel, topology.event_queue("order", "order.placed", "demo", "hear"))

    assert channel.queues["rpc-demo"]["arguments"] == {}
    event = channel.queues["evt-order-order.placed--demo.hear"]["arguments"]
    assert event["x-queue-type"] == "quorum"
    assert (event["x-dead-letter-exchange"], event["x-dead-letter-routing-key"]) == ("kirana.parking", "demo")
