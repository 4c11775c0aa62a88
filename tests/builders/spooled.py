"""Log lines as our processes write them, each with a number of its own, through the spool that they write."""

import orjson

from shared.logs.spool import Spool

WORD = "a line of the length that a request's has, with a route, a status, a user and a trace; " * 2


def a_line(number, *, instance="edge-1", fault=None):
    service = instance.rpartition("-")[0]
    labels = {"number": number, "route": "product"} | ({"fault": fault} if fault else {})
    return orjson.dumps(
        {
            "@timestamp": f"2026-11-21T10:00:{number // 1_000_000:02}.{number % 1_000_000:06}Z",
            "message": WORD,
            "log": {"level": "info"},
            "event": {"action": "http.request", "dataset": f"kirana.{service}"},
            "service": {"name": service, "environment": "local", "node": {"name": instance}},
            "labels": labels,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


class Writers:
    """Some processes' spools. They look at their files' size at every hundredth line, instead of every second."""

    def __init__(self, folder, *instances, most_bytes=64 * 2**20):
        self._now = 0.0
        self._spools = {
            name: Spool(folder / f"{name}.jsonl", stdout=None, most_bytes=most_bytes, clock=lambda: self._now)
            for name in instances
        }
        self.written = 0

    def write(self, count, fault_of=lambda _: None):
        """The next ``count`` lines, in turn to each."""
        for number in range(self.written, self.written + count):
            instance = [*self._spools][number % len(self._spools)]
            self._spools[instance].write(a_line(number, instance=instance, fault=fault_of(number)))
            self._now += 0.01
        self.written += count

    def close(self):
        for spool in self._spools.values():
            spool.close()


def numbers(documents):
    return [document["labels"]["number"] for document in documents]
