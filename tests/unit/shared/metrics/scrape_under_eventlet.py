"""Run by a test, as its own process: does the hub go on while somebody scrapes thousands of series?"""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import httpx  # noqa: E402
from prometheus_client.core import GaugeMetricFamily  # noqa: E402

from shared.metrics.listening import Listener  # noqa: E402
from shared.metrics.rendering import rendered  # noqa: E402

FAMILIES, SERIES = 40, 250
ticks = [0]


class Many:
    """Notes how far the ticking has come whenever a family is begun."""

    def __init__(self):
        self.seen = []

    def collect(self):
        for number in range(FAMILIES):
            self.seen.append(ticks[0])
            family = GaugeMetricFamily(f"family_{number}", "One of many.", labels=["series"])
            for series in range(SERIES):
                family.add_metric([str(series)], series)
            yield family


def tick():
    while True:
        ticks[0] += 1
        eventlet.sleep(0)


def main():
    many = Many()
    listener = Listener("127.0.0.1", 0, lambda: rendered([many]))
    listener.start()
    while listener.port is None:
        eventlet.sleep(0.01)
    eventlet.spawn(tick)
    text = httpx.get(f"http://127.0.0.1:{listener.port}/metrics").text
    ran_between = sum(after > before for before, after in zip(many.seen, many.seen[1:], strict=False))
    print(text.count("\nfamily_"), ran_between)


main()
