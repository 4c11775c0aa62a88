"""The broker's definitions and the services that declare the same objects again must agree to the letter."""

import importlib
import inspect
import json
from pathlib import Path

from shared.nameko_ext import topology
from shared.nameko_ext.events import EventDoor

ROOT = Path(__file__).parents[2]
SERVICES = ("identity", "catalog", "cart", "order", "notification")
DEFINED = json.loads((ROOT / "rabbitmq" / "definitions.json").read_text())


class Recorder:
    """A channel that only notes what is declared on it."""

    def __init__(self):
        self.queues, self.bindings = {}, set()

    def exchange_declare(self, *_, **__):
        pass

    def queue_declare(self, name, *, arguments, **_):
        self.queues[name] = arguments

    def queue_bind(self, queue, exchange, routing_key):
        self.bindings.add((exchange, queue, routing_key))


def declared():
    recorder = Recorder()
    for service in SERVICES:
        topology.declare_rpc(recorder, service)
        for handler in handlers(service):
            topology.declare_events(recorder, handler)
    return recorder


def handlers(service):
    cls = importlib.import_module(f"rpc_services.{service}.service").Service
    for name, door in inspect.getmembers(cls, inspect.isfunction):
        for entrypoint in getattr(door, "nameko_entrypoints", ()):
            if isinstance(entrypoint, EventDoor):
                yield topology.event_queue(entrypoint.event_type.service, entrypoint.event_type.name, service, name)


def test_every_queue_but_the_retry_ladder_is_defined_before_any_service_starts():
    found = declared()
    durable = {name: arguments for name, arguments in found.queues.items() if not name.startswith("retry.")}

    assert {queue["name"]: queue["arguments"] for queue in DEFINED["queues"]} == durable
    bindings = {(each["source"], each["destination"], each["routing_key"]) for each in DEFINED["bindings"]}
    assert bindings == found.bindings


def test_event_and_parking_queues_are_quorum_queues_and_calls_are_not():
    kinds = {queue["name"]: queue["arguments"].get("x-queue-type") for queue in DEFINED["queues"]}

    assert {kind for name, kind in kinds.items() if name.startswith(("evt-", "parking."))} == {"quorum"}
    assert {kind for name, kind in kinds.items() if name.startswith("rpc-")} == {None}


def test_no_queue_is_transient_and_shared():
    assert all(queue["durable"] for queue in DEFINED["queues"])
