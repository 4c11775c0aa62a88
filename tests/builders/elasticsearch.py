"""The stand-in for Elasticsearch as a process of its own."""

import sys
import urllib.request
from pathlib import Path

import httpx
import orjson

from tests.builders.servers import Server

ROOT = Path(__file__).parents[2]


class Elasticsearch(Server):
    """What it was told lives as long as the process: a killed one has forgotten all."""

    name = "elasticsearch"
    not_yet = (OSError, httpx.TransportError)

    def __init__(self, key=""):
        super().__init__()
        self.environment = {"STAND_IN_API_KEY": key, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}

    @property
    def command(self):
        return [sys.executable, "-m", "tests.fakes.elasticsearch.server", str(self.port)]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        return httpx.get(self.url).status_code == 200

    def misbehave(self, *faults, share=1.0, seed=0, **more):
        """From now on; without faults it behaves."""
        httpx.put(
            f"{self.url}/_stand_in/faults", json={"faults": faults, "share": share, "seed": seed, **more}
        ).raise_for_status()

    def told(self):
        return self._asked("told")

    def documents(self):
        """Every document by its id, of all streams."""
        return {name: document for stream in self._documents()["streams"].values() for name, document in stream.items()}

    def streams(self):
        return self._documents()["streams"]

    def failures(self):
        return self._documents()["failures"]

    def _documents(self):
        return self._asked("documents")

    def _asked(self, what):
        with urllib.request.urlopen(f"{self.url}/_stand_in/{what}", timeout=60) as answer:
            return orjson.loads(answer.read())
