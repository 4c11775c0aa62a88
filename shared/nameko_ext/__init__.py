"""What the doors of a Nameko service are made of: entrypoints that survive anything, and what they depend on."""

from shared.nameko_ext.configured import Configured
from shared.nameko_ext.events import on_event
from shared.nameko_ext.health import HealthReport
from shared.nameko_ext.loading import Loaded, Loader
from shared.nameko_ext.outbox import Outbox
from shared.nameko_ext.remote import Remote, RemoteService
from shared.nameko_ext.rpc import rpc
from shared.nameko_ext.ticker import Ticker
from shared.nameko_ext.transactions import Transactions

__all__ = [
    "Configured",
    "HealthReport",
    "Loaded",
    "Loader",
    "Outbox",
    "Remote",
    "RemoteService",
    "Ticker",
    "Transactions",
    "on_event",
    "rpc",
]
