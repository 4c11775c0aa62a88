"""What is left of a deployment that ends otherwise than it should: nothing beside the version that serves."""

import pytest

from kirana.deploying import canary
from kirana.deploying.canary import Deployment, Plan, Report
from kirana.deploying.watching import Policy
from kirana.stack.faults import ServiceFailed
from kirana.stack.home import Home
from kirana.stack.releases import Release
from kirana.stack.steps import Steps

CONFIGURATION = "[supervisord]\n\n[program:edge]\nenvironment=\n\n[program:edge-canary]\nenvironment=\n"


class InterruptedSupervisor:
    """Somebody loses patience while it takes in the first configuration, which is written by then."""

    def __init__(self, home):
        self.home = home
        self.applied = []

    def apply(self, text):
        self.home.write("supervisord.conf", text)
        self.applied.append(text)
        if len(self.applied) == 1:
            raise KeyboardInterrupt


class Way:
    def __init__(self):
        self.is_clear = False

    def canary(self, main):
        return main.renamed("edge-canary")

    def clear(self):
        self.is_clear = True


class Tried(Deployment):
    """A trial that went well, and a version that has taken the old one's place."""

    def _try(self, *_):
        return Report(self._plan.part, "next", None, None)

    def _replace(self, *_):
        pass


def test_who_loses_patience_after_the_new_version_serves_leaves_nothing_beside_it(tmp_path, monkeypatch):
    home, way = Home(tmp_path), Way()
    home.make()
    home.write("supervisord.conf", CONFIGURATION)
    supervisor = InterruptedSupervisor(home)
    monkeypatch.setattr(canary, "Supervisor", lambda _: supervisor)
    plan = Plan("edge", Release("next", tmp_path), None, 10, Policy(0.01, 1.0))

    with pytest.raises(KeyboardInterrupt):
        Tried(home, plan, way, Steps()).run()

    assert len(supervisor.applied) == 2
    assert "edge-canary" not in supervisor.applied[-1]
    assert way.is_clear


class PatientSupervisor:
    """Does as it is told."""

    def __init__(self, home):
        self.home = home

    def apply(self, text):
        self.home.write("supervisord.conf", text)

    def start(self, names):
        pass

    def restarts(self):
        return {}


class NewEdgeHangs:
    """The new version never serves in the old one's place; the old one comes back, or says that it does not."""

    def __init__(self, says):
        self.says = says
        self.asked = 0
        self.shifts = []
        self.is_clear = False

    def canary(self, main):
        return main.renamed("edge-canary")

    def ready(self, _):
        self.asked += 1
        return lambda: f"silent {self.asked}"

    def back(self, _):
        return lambda: self.says

    def shift(self, percent):
        self.shifts.append(percent)

    def clear(self):
        self.is_clear = True


class Entering(Deployment):
    """A trial that went well; the new version is put in the old one's place."""

    def _try(self, *_):
        return Report(self._plan.part, "next", None, None)


@pytest.mark.parametrize(
    ("says", "complaint"),
    [("", "edge did not become ready: silent 1"), ("no broker", "edge did not become ready: no broker")],
    ids=["the old one is back", "the old one is not"],
)
def test_a_version_that_is_taken_back_keeps_no_traffic_whether_the_old_one_comes_or_not(
    tmp_path, monkeypatch, says, complaint
):
    home, way = Home(tmp_path), NewEdgeHangs(says)
    home.make()
    home.write("supervisord.conf", CONFIGURATION)
    monkeypatch.setattr(canary, "Supervisor", PatientSupervisor)
    monkeypatch.setattr(canary, "READY_SECONDS", 0.0)
    plan = Plan("edge", Release("next", tmp_path), None, 10, Policy(0.01, 1.0))

    with pytest.raises(ServiceFailed) as caught:
        Entering(home, plan, way, Steps()).run()

    assert str(caught.value) == complaint
    assert way.shifts == [0]
    assert way.is_clear
    assert (home.conf / "supervisord.conf").read_text() == CONFIGURATION.partition("[program:edge-canary]")[0]
