"""``python -m benchmarks.rpc.service {kirana,stock}``: the service under load, on our entrypoint or on Nameko's own."""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402  # after the filter that silences its notice
import prometheus_client  # noqa: E402, F401  # before patching: its locks are never held across a switch

eventlet.monkey_patch()

import os  # noqa: E402  # after patching
import sys  # noqa: E402
from typing import Any  # noqa: E402

import nameko  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402
from nameko.rpc import rpc as stock_rpc  # noqa: E402

from benchmarks.rpc import contract  # noqa: E402
from rpc_services.running import run  # noqa: E402
from shared.contracts.method import Health, Nothing  # noqa: E402
from shared.nameko_ext import HealthReport, rpc  # noqa: E402

WORKERS = 64


class Kirana:
    """On our entrypoint."""

    name = contract.SERVICE

    health = HealthReport()

    @rpc(contract.METHODS.CHECK_HEALTH)
    def check_health(self, request: Any) -> Health:
        """Whether it consumes."""
        del request
        return self.health.report()

    @rpc(contract.LOOK)
    def look(self, request: contract.Look) -> dict[str, Any]:
        """One product."""
        return contract.look(request.product_id)

    @rpc(contract.REST)
    def rest(self, request: contract.Rest) -> Nothing:
        """Wait."""
        eventlet.sleep(request.seconds)
        return Nothing()


class Stock:
    """As the Nameko documentation would have it."""

    name = contract.STOCK_SERVICE

    @stock_rpc
    def look(self, product_id: int) -> dict[str, Any]:
        """One product."""
        return contract.look(product_id)


def main() -> None:
    """Serve until terminated."""
    if sys.argv[1] == "kirana":
        run(Kirana, {**os.environ, "KIRANA_MAX_WORKERS": str(WORKERS)})
        return
    nameko.config.setup(
        {"AMQP_URI": os.environ["KIRANA_AMQP_URL"], "PREFETCH_COUNT": WORKERS, "max_workers": WORKERS, "HEARTBEAT": 10}
    )
    container = ServiceContainer(Stock)
    container.start()
    container.wait()


if __name__ == "__main__":
    main()
