import pytest

from kirana.deploying import canary
from kirana.deploying.canary import Deployment, Plan, Report
from kirana.deploying.watching import Policy
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
