"""Takes a stack down so that nothing is lost and no process is left."""

from __future__ import annotations

import shutil

from kirana.stack import processes
from kirana.stack.home import Home
from kirana.stack.lock import alone
from kirana.stack.programs import SERVICES
from kirana.stack.steps import Steps
from kirana.stack.supervision import Supervisor


def bring_down(home: Home, steps: Steps) -> bool:
    """Stop the edge, then the services, then the servers; end whatever still carries the stack's mark.

    Answers whether there was anything to stop.
    """
    if not home.root.exists():
        return False
    with alone(home.root, on_wait=lambda: steps.note("another kirana command works on this stack; waiting for it")):
        return _stop(home, steps)


def remove(home: Home, steps: Steps) -> None:
    """Take the stack down and delete its data. Downloaded packages stay."""
    bring_down(home, steps)
    if not home.root.exists():
        return
    with steps.step("Data removed"):
        for path in home.root.iterdir():
            if path.is_dir() and not path.is_symlink() and path.name != "packages":
                shutil.rmtree(path)
            elif path.name != "packages":
                path.unlink()


def _stop(home: Home, steps: Steps) -> bool:
    supervisor = Supervisor(home)
    home.run.mkdir(parents=True, exist_ok=True)
    home.link_run()
    was_alive = supervisor.is_alive()
    if was_alive:
        names = [seen.name for seen in supervisor.programs()]
        of_services = [name for name in names if name.rpartition("-")[0] in SERVICES]
        for title, group in (("Edge stopped", ["edge"]), ("Services stopped", [*of_services, "mail-sink"])):
            with steps.step(title):
                supervisor.stop([name for name in group if name in names])
        with steps.step("Servers stopped"):
            supervisor.stop(names, seconds=60)
            supervisor.shut_down()
    left = processes.of_stack(home.root)
    if left:
        with steps.step("Left-over processes ended"):
            processes.end(home.root)
    home.unlink_run()
    return was_alive or bool(left)
