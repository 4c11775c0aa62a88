"""Leads one deployment: beside the old, a part of the traffic, all of it, in its place; back at once when it errs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kirana.deploying.sections import Configuration, Section
from kirana.deploying.watching import Policy, Verdict, Watch
from kirana.deploying.ways import Way
from kirana.stack import releases
from kirana.stack.faults import ServiceFailed, StackFault
from kirana.stack.home import Home
from kirana.stack.programs import build
from kirana.stack.releases import Release
from kirana.stack.steps import Steps
from kirana.stack.supervision import Supervisor
from kirana.stack.waiting import Waiter

READY_SECONDS = 90.0
LIVES = 1
"""A version that ends before it ever served is not worth more patience: the old one serves anyway."""


class RolledBack(StackFault):
    """The new version erred; the old one serves everything, as before."""

    exit_code = 13


@dataclass(frozen=True)
class Plan:
    """What is put in the place of what. ``release`` is on trial; ``pinned`` replaces the old, or the checkout does."""

    part: str
    release: Release
    pinned: Release | None
    percent: int
    policy: Policy


@dataclass(frozen=True)
class Report:
    """How it went: the verdict at a part of the traffic, and with all that could be given to it."""

    part: str
    release: str
    trial: Verdict
    full: Verdict


class Deployment:
    """One per command. The caller holds the stack's lock."""

    def __init__(self, home: Home, plan: Plan, way: Way, steps: Steps) -> None:
        self._home, self._plan, self._way, self._steps = home, plan, way, steps
        self._supervisor = Supervisor(home)
        self._waiter = Waiter(home, self._supervisor, ServiceFailed)

    def run(self) -> Report:
        """Deploy. Raises :class:`RolledBack` when the version erred, and another :class:`StackFault` when it cannot."""
        mains = self._configuration().instances(self._plan.part)
        if not mains:
            raise StackFault(f"No {self._plan.part} runs here.", mend="kirana up")
        canary = self._way.canary(mains[0]).with_environment(self._of(self._plan.release))
        with self._taken_back(canary.name, mains):
            report = self._try(canary, mains)
            self._replace(mains)
        try:
            with self._steps.step("The trial ends; its last requests are answered"):
                self._withdraw(canary.name)
        except KeyboardInterrupt:  # the new version serves by now, and nothing may be left beside it
            self._withdraw(canary.name)
            raise
        return report

    def _try(self, canary: Section, mains: list[Section]) -> Report:
        with self._steps.step(f"Version {self._plan.release.name} beside the old one"):
            self._way.prepare(canary)
            self._put(canary)
            self._waiter.wait(canary.name, self._way.ready(canary), READY_SECONDS, hopeless_after=LIVES)
        watch = Watch(
            self._way.metrics(canary), [self._way.metrics(one) for one in mains], is_well=self._wellness(canary.name)
        )
        trial = self._watch(watch, self._plan.percent, f"{self._plan.percent} % of the traffic")
        full = self._watch(watch, 100, "All the traffic it can have")
        return Report(self._plan.part, self._plan.release.name, trial, full)

    def _watch(self, watch: Watch, percent: int, title: str) -> Verdict:
        with self._steps.step(title):
            self._way.shift(percent)
            verdict = watch.judge(
                self._plan.policy,
                meanwhile=self._way.probe,
                heard=lambda tally: self._steps.now(f"{title}: {tally.total} requests, {tally.failed} failed"),
            )
            if verdict.complaint:
                raise RolledBack(
                    f"Version {self._plan.release.name} of {self._plan.part} was taken back: {verdict.complaint}.",
                    mend="kirana logs --errors",
                    cause="The old version serves everything, as before.",
                )
        if verdict.canary.total < self._plan.policy.enough:
            self._steps.note(f"only {verdict.canary.total} requests came: that says little about the new version")
        return verdict

    def _replace(self, mains: list[Section]) -> None:
        """The old ones become the new version one by one; what is on trial serves meanwhile."""
        for main in mains:
            with self._steps.step(f"{main.name} becomes the new version"):
                self._put(main.with_environment(self._of(self._plan.pinned)))
                self._waiter.wait(main.name, self._way.ready(main), READY_SECONDS)
        self._way.shift(0)
        releases.pin(self._home, self._plan.part, self._plan.pinned)

    @contextmanager
    def _taken_back(self, name: str, mains: list[Section]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with self._steps.step("Back to the old version"):
                try:
                    self._restore(mains)
                finally:
                    self._withdraw(name)
            raise

    def _restore(self, mains: list[Section]) -> None:
        """Old ones that run serve at once; who was replaced already comes back before the trial's traffic goes.

        It goes too where the old one does not come: nobody looks after a version that was left on trial.
        """
        now = self._configuration()
        replaced = [main for main in mains if now.named(main.name) != main]
        try:
            for main in replaced:
                self._put(main)
                self._waiter.wait(main.name, self._way.back(main), READY_SECONDS)
        finally:
            self._way.shift(0)

    def _withdraw(self, name: str) -> None:
        """May be repeated: the supervisor compares what is written with what it runs."""
        self._supervisor.apply(self._configuration().without(name).text)
        self._way.clear()

    def _put(self, section: Section) -> None:
        self._supervisor.apply(self._configuration().having(section).text)
        self._supervisor.start([section.name])

    def _configuration(self) -> Configuration:
        return Configuration.read((self._home.conf / "supervisord.conf").read_text(encoding="utf-8"))

    def _of(self, release: Release | None) -> dict[str, str | None]:
        """``None``: the checkout itself."""
        if release is None:
            return {"PYTHONPATH": None, "KIRANA_BUILD": build()}
        return {"PYTHONPATH": str(release.folder), "KIRANA_BUILD": release.name}

    def _wellness(self, name: str) -> Callable[[], str]:
        began = self._pid(name)

        def complaint() -> str:
            return "" if self._pid(name) == began else "its process ended"

        return complaint

    def _pid(self, name: str) -> int:
        return next((seen.pid for seen in self._supervisor.programs() if seen.name == name), 0)
