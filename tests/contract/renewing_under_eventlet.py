"""Run by a test, as its own process: a link that is renewed while others open sockets."""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402

from eventlet.hubs import trampoline  # noqa: E402
from eventlet.patcher import original  # noqa: E402

from shared.nameko_ext.link import Link  # noqa: E402

WAITING_SECONDS = 30


class Renewed:
    """A link, and how many of its connections were lost."""

    def __init__(self, url):
        self._opened, self.lost = eventlet.Queue(), 0
        self._link = Link(url, "renewed", on_open=self._opened.put, on_lost=self._lose)

    def live(self, times):
        running = eventlet.spawn(self._link.run)
        for _ in range(times):
            self._opened.get(timeout=WAITING_SECONDS)
            eventlet.sleep(0)  # until it is read from
            self._link.renew()
            wait_as_a_driver_does()
        self._opened.get(timeout=WAITING_SECONDS)
        self._link.close()
        running.wait()

    def _lose(self):
        self.lost += 1


def wait_as_a_driver_does():
    """psycopg opens its sockets in C, of which the hub hears nothing before the first wait."""
    near, far = original("socket").socketpair()
    with near, far:
        far.send(b"x")
        trampoline(near.fileno(), read=True, timeout=WAITING_SECONDS)


def main():
    renewed = Renewed(sys.argv[1])
    Link("amqp://nowhere", "not yet open", on_open=print).renew()
    renewed.live(int(sys.argv[2]))
    print(f"lost {renewed.lost}")


main()
