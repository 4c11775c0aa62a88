"""A second edge of a stack, beside the first and behind its front, so that either may go while the other serves."""

from contextlib import contextmanager

from kirana.deploying.sections import Configuration
from kirana.deploying.ways import EdgeWay, open_front
from kirana.stack import front
from kirana.stack.home import Home
from kirana.stack.supervision import Supervisor
from tests.builders.waiting import eventually

FIRST, SECOND = "edge", "edge-canary"


class Edges:
    """Both of them, each with half of the requests that come to ``url``."""

    names = (FIRST, SECOND)

    def __init__(self, home):
        self._home = home
        self._way = EdgeWay(home)
        self._path = home.conf / "supervisord.conf"
        self.url = self._way.url

    def spare(self, name):
        """The other one gets whatever comes from now on."""
        front.weigh(self._home, 100 if name == FIRST else 0)

    def share(self):
        """Each gets its half."""
        front.weigh(self._home, 50)

    def serves(self, name):
        """Whether this one answers clients."""
        return self._way.ready(self._sections.named(name))() == ""

    @property
    def _sections(self):
        return Configuration.read(self._path.read_text())

    def begin(self):
        supervisor = Supervisor(self._home)
        open_front(self._home)
        supervisor.apply(self._sections.having(self._way.canary(self._sections.named(FIRST))).text)
        supervisor.start([SECOND])
        eventually(lambda: self.serves(SECOND), within=90, what="the second edge")
        self.share()

    def end(self):
        self.spare(SECOND)
        Supervisor(self._home).apply(self._sections.without(SECOND).text)


@contextmanager
def two_edges(stack):
    """The second one runs within the block."""
    edges = Edges(Home(stack.home))
    try:
        edges.begin()
        yield edges
    finally:
        edges.end()
