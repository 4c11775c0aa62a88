"""A service of ours with little to do, for tests of the lanes that lead to it: ``python kirana_service.py JOURNAL``."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402 - after the filter that silences its notice

eventlet.monkey_patch()

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from rpc_services.running import run  # noqa: E402
from shared.contracts.method import Methods, Nothing, Request  # noqa: E402
from shared.nameko_ext import HealthReport, rpc  # noqa: E402

METHODS = Methods("lanes")


class Say(Request, frozen=True, kw_only=True):
    value: Any
    seconds: float = 0.0


SAY = METHODS.reads("say", Say, Any)
NOTE = METHODS.changes("note", Say, Any)


class Service:
    name = "lanes"
    health = HealthReport()

    @rpc(METHODS.CHECK_HEALTH)
    def check_health(self, request):
        del request
        return self.health.report()

    @rpc(SAY)
    def say(self, request):
        if request.seconds:
            eventlet.sleep(request.seconds)
        return {"value": request.value, "pid": os.getpid()}

    @rpc(NOTE)
    def note(self, request):
        """Every run leaves a line, so that a test sees what really happened."""
        with Path(sys.argv[1]).open("a") as journal:
            journal.write(f"{request.value}\n")
        if request.seconds:
            eventlet.sleep(request.seconds)
        return Nothing()


if __name__ == "__main__":
    run(Service, os.environ)
