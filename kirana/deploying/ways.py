"""How traffic is shifted: to an edge by the front's weights, to a service by how much of its time it takes work."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Protocol

import httpx

from kirana.configuration import attendance
from kirana.configuration.history import author_here
from kirana.configuration.keys import Keys
from kirana.deploying.sections import Configuration, Section
from kirana.stack import front, ports, readiness, supervisor_conf
from kirana.stack.definitions import METHODS
from kirana.stack.faults import MigrationFailed, ServersMissing, StackFault
from kirana.stack.home import Home
from kirana.stack.programs import WITH_DATABASE
from kirana.stack.readiness import Probe
from kirana.stack.state import StackState
from kirana.stack.supervision import Supervisor

PROBE_SECONDS = 2.0
LOG_LINES = 20


class Way(Protocol):
    """What a deployment needs to know of the part it replaces."""

    def canary(self, main: Section) -> Section:
        """The program of the version on trial, but for its code."""
        ...

    def prepare(self, canary: Section) -> None:
        """What must be there before it starts."""
        ...

    def ready(self, section: Section) -> Probe:
        """Whether this program serves."""
        ...

    def back(self, section: Section) -> Probe:
        """Whether this program, which served before, is back: by its own word, which has to do."""
        ...

    def metrics(self, section: Section) -> str:
        """Where this program tells its metrics."""
        ...

    def shift(self, percent: int) -> None:
        """Give so much of the traffic to the canary."""
        ...

    def probe(self) -> bool:
        """One request of our own, so that a quiet shop, too, says something about the version.

        Gives whether there was any answer, where it is the version's own doing that there was none.
        """
        ...

    def clear(self) -> None:
        """Leave nothing behind."""
        ...


def metrics_of(section: Section) -> str:
    """The address that this program's environment says."""
    return f"http://127.0.0.1:{section.environment.get('KIRANA_METRICS_PORT', '')}/metrics"


class EdgeWay:
    """Two edges behind the front."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._ports = ports.chosen_in(home.root)
        if "front" not in self._ports:
            raise StackFault("This stack was started before it could have a front.", mend="kirana up")
        if front.nginx() is None:
            raise ServersMissing("The front needs nginx, which is not installed.", mend="apt-get install nginx-light")

    @property
    def url(self) -> str:
        """Where clients are served by either version."""
        return f"http://127.0.0.1:{self._ports['front']}"

    def canary(self, main: Section) -> Section:
        """On ports of its own."""
        own = {
            "KIRANA_EDGE_PORT": str(self._ports["canary"]),
            "KIRANA_METRICS_PORT": str(self._ports["canary_metrics"]),
            "KIRANA_INSTANCE": "edge-canary",
            "KIRANA_ROUTES_KEPT": str(self._home.root / "edge" / "canary.kept"),
        }
        return main.renamed("edge-canary").with_environment(own)

    def prepare(self, canary: Section) -> None:
        """The front, which stays from now on; a deployment that was killed may have left a weight."""
        del canary
        self.shift(0)
        open_front(self._home)

    def ready(self, section: Section) -> Probe:
        """It says so itself, and answers a request as clients send them: no client shall find out that it hangs."""
        port, says_so = _port(section), self.back(section)

        def probe() -> str:
            return says_so() or (
                "" if self._does_its_part(port) else f"it answers no request within {PROBE_SECONDS:.0f} s"
            )

        return probe

    def back(self, section: Section) -> Probe:
        """Its readiness, no more."""
        return readiness.edge(f"http://127.0.0.1:{_port(section)}")

    def metrics(self, section: Section) -> str:
        """As its environment says."""
        return metrics_of(section)

    def shift(self, percent: int) -> None:
        """From the next request on."""
        front.weigh(self._home, percent)

    def probe(self) -> bool:
        """To the canary directly; what it answers stands in its metrics, but nothing of what it never answers."""
        return self._does_its_part(self._ports["canary"])

    def _does_its_part(self, port: int) -> bool:
        """It answers; or the edge beside it does not either just then, which is nobody's doing here."""
        beside = self._ports["edge" if port == self._ports["canary"] else "canary"]
        return _answers(port) or not _answers(beside)

    def clear(self) -> None:
        """Nothing is left anyway."""


class ServiceWay:
    """Instances on one queue. The broker gives each the same, a canary's share is how much of its time it attends."""

    def __init__(self, home: Home, state: StackState, service: str, keys: Keys) -> None:
        self._home, self._state, self._service, self._keys = home, state, service, keys
        self._name = f"{service}-canary"
        self._ports = ports.chosen_in(home.root)
        self._others = 1

    def canary(self, main: Section) -> Section:
        """With metrics of its own."""
        text = (self._home.conf / "supervisord.conf").read_text(encoding="utf-8")
        self._others = len(Configuration.read(text).instances(self._service))
        own = {"KIRANA_METRICS_PORT": str(self._ports["canary_metrics"]), "KIRANA_INSTANCE": self._name}
        return main.renamed(self._name).with_environment(own)

    def prepare(self, canary: Section) -> None:
        """Its schema, which old code must be able to use as well; and no work, from when it has read that wish."""
        if self._service in WITH_DATABASE:
            _migrate(canary)
        attendance.wish(self._keys, self._name, author_here("a new version is on trial"))

    def ready(self, section: Section) -> Probe:
        """It is in Consul's catalogue and well, or out only because we wish so."""
        instance = section.environment["KIRANA_INSTANCE"]

        def probe() -> str:
            found = [one for one in attendance.present(self._keys) if one.instance == instance]
            if not found:
                return "Consul does not list it"
            return "; ".join(one.note or one.status for one in found if one.status == "critical" and not one.is_out)

        return probe

    def back(self, section: Section) -> Probe:
        """The same."""
        return self.ready(section)

    def metrics(self, section: Section) -> str:
        """As its environment says."""
        return metrics_of(section)

    def shift(self, percent: int) -> None:
        """A canary that attends always has as much as each of the others; more it cannot get beside them."""
        share = min(1.0, percent / 100 * (self._others + 1))
        attendance.wish(self._keys, self._name, author_here("a new version is on trial"), share=share)

    def probe(self) -> bool:
        """To whichever instance takes it: what is under way in the canary stands in its metrics."""
        with suppress(StackFault):
            readiness.service(self._state.amqp, METHODS[self._service])()
        return True

    def clear(self) -> None:
        """The wish."""
        attendance.let_in(self._keys, self._name)


def _port(edge: Section) -> int:
    return int(edge.environment["KIRANA_EDGE_PORT"])


def _answers(port: int) -> bool:
    """Whether this edge answers a request of a client's kind, in whatever way."""
    with suppress(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/api/products?limit=1", timeout=PROBE_SECONDS, trust_env=False)
        return True
    return False


def open_front(home: Home) -> None:
    """Start the front if it does not run. Raises :class:`StackFault`."""
    program = front.program(home, ports.chosen_in(home.root))
    section = Configuration.read(supervisor_conf.render(home, [program])).named(front.NAME)
    path = home.conf / "supervisord.conf"
    supervisor = Supervisor(home)
    configuration = Configuration.read(path.read_text(encoding="utf-8"))
    if section is not None and configuration.named(front.NAME) != section:
        supervisor.apply(configuration.having(section).text)
    supervisor.start([front.NAME])


def _migrate(canary: Section) -> None:
    service = canary.name.rpartition("-")[0]
    done = subprocess.run(
        [sys.executable, "-m", "rpc_services", service, "migrate"],
        env=canary.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = tuple((done.stdout + done.stderr).splitlines()[-LOG_LINES:])
        raise MigrationFailed(f"The database of {service} could not be migrated.", log=lines)
