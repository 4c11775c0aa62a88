"""What a real nginx answers itself is in the shipper's metrics, though Elasticsearch be away, and each request once."""

import asyncio
import re
import signal

import httpx
import pytest

from tests.builders.servers import free_port
from tests.builders.shippers import Nursery
from tests.builders.waiting import eventually
from tests.integration.front.nginx import Nginx

pytestmark = pytest.mark.takes(10)

SERIES = re.compile(r'^kirana_front_answered_total\{route="(\w+)",status="(\d+)"\} (\S+)$', re.MULTILINE)


class NobodyAtAll:
    """An edge that does not listen."""

    def __init__(self):
        self.port = free_port()


class Alone(Nginx):
    not_yet = (OSError, EOFError)

    def answers(self):
        return asyncio.run(self.ask("/metrics"))[0] == 404


@pytest.fixture
def nginx():
    with Alone([NobodyAtAll()]) as server:
        yield server


def told(port):
    """What is not 0, by route and status."""
    found = SERIES.findall(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    return {(route, status): float(value) for route, status, value in found if float(value)}


def asked(nginx, path, method):
    return asyncio.run(nginx.ask(path, method=method))[0]


def faults(port, expected):
    """Once they are ``expected``; what nginx refuses is left out, as it was asked for until it answered."""

    def are_told():
        return {each: number for each, number in told(port).items() if each[1] != "404"} == expected

    eventually(are_told, despite=(httpx.TransportError,), what=f"{expected}")


def test_what_nginx_answers_itself_is_counted_once_through_the_death_of_a_shipper(nginx):
    port = free_port()
    with Nursery(nginx.spool, f"http://127.0.0.1:{free_port()}", KIRANA_METRICS_PORT=str(port)) as nursery:
        nursery.start_and_wait()
        answers = [
            asked(nginx, "/api/orders", "POST"),
            asked(nginx, "/api/cart/checkout", "POST"),
            asked(nginx, "/api/products/5", "GET"),
            asked(nginx, "/health/serving", "GET"),
        ]
        faults(port, {("place_order", "504"): 1, ("checkout", "504"): 1, ("other", "503"): 1})
        eventually(lambda: noted(nursery) == size(nginx), what="that it is noted")

        nursery.end(signal.SIGKILL)
        answers.append(asked(nginx, "/api/orders", "POST"))
        nursery.start_and_wait()

        faults(port, {("place_order", "504"): 1})
        assert answers == [504, 504, 503, 503, 504]


def noted(nursery):
    return sum(nursery.places()["counted"].values())


def size(nginx):
    return (nginx.spool / "nginx.jsonl").stat().st_size
