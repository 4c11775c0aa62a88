"""``traffic`` may be killed between any two of its steps: whoever comes next ends or undoes what it left half done."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, cycle
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest

from tests.builders.waiting import eventually
from tests.integration.front.nginx import PLACE

COMMANDS = ("cmp", "cp", "flock", "grep", "mv", "rm", "sed")
COMMAND = r"""
case $0 in
    */flock) read -r armed <"$ARMED" && : >"$armed/steps" ;;  # the first step of all
esac
{name} "$@"
"""
STEP = r"""
status=$?
if read -r armed <"$ARMED"; then
    echo "{name}" >>"$armed/steps"
    if [ "$(wc -l <"$armed/steps")" -eq "$(cat "$armed/after")" ]; then
        echo >"$armed/reached"
        while [ -e "$armed/after" ]; do sleep 0.1; done
    fi
fi
exit $status
"""
"""The end of a command: if it was the one after which its caller shall be killed, it stops here if wanted."""

NGINX = r"""
case $1 in
    -t) ! {grep} -q :99999 "$TRAFFIC_FOLDER/traffic.conf" ;;
    -s) {cp} "$TRAFFIC_FOLDER/traffic.conf" "$TRAFFIC_FOLDER/running" ;;
    -g)
        {cp} "$TRAFFIC_FOLDER/traffic.conf" "$TRAFFIC_FOLDER/running"
        exec sleep 600
        ;;
esac
"""
PROBE = r"""
case $1 in
    http://"$(cat "$TRAFFIC_FOLDER/leaving")"/*)
        echo "wget: server returned error: HTTP/1.1 503 Service Unavailable" >&2
        exit 1
        ;;
esac
"""
BLUE = "10.0.0.1:8000 10.0.0.2:8000"
GREEN = "10.0.0.3:8000"
REFUSED = "10.0.0.3:99999"


class Front:
    """``traffic`` over an nginx that only remembers what it was told to read, and commands that can stop a caller."""

    def __init__(self, folder, green):
        self.folder, self.green, self.serving, self.trap = folder, green, None, None
        (folder / "leaving").write_text("nobody")
        (folder / "probe").write_text(PROBE)
        (folder / "commands").mkdir()
        for name in COMMANDS:
            self._place(name, COMMAND.format(name=shutil.which(name)), name)
        self._place("nginx", NGINX.format(grep=shutil.which("grep"), cp=shutil.which("cp")), "nginx $1")

    def _place(self, name, does, told):
        command = self.folder / "commands" / name
        command.write_text(f"#!/bin/sh{does}{STEP.format(name=told)}")
        command.chmod(0o755)

    def begin(self, *words, armed):
        environment = {
            "PATH": f"{self.folder}/commands:/usr/bin:/bin",
            "ARMED": str(self.folder / armed),
            "TRAFFIC_FOLDER": str(self.folder),
            "TRAFFIC_PROBE": f"sh {self.folder}/probe",
            "TRAFFIC_BLUE": BLUE,
            "TRAFFIC_GREEN": self.green,
            "TRAFFIC_SECONDS": "0.1",
            "KIRANA_LOG_SPOOL": "",
        }
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return psutil.Popen(["sh", PLACE / "traffic.sh", *words], env=environment, start_new_session=True, **quiet)

    def serve(self):
        self.serving = self.begin("serve", armed="round")
        eventually(self.is_settled, what="the first file")

    def end(self):
        kill(self.serving)
        (self.folder / "running").unlink()

    def kill_round(self):
        """The one of who looks after the edges, beside nginx; that one goes on."""
        (looking,) = self.serving.children()
        (round_,) = looking.children()
        for each in [round_, *round_.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # a moment's sleep that has ended
                each.kill()

    @contextmanager
    def armed(self, who, step):
        """Within, ``who`` stops when it has done so many steps (not one late for an earlier trap)."""
        self.trap = Path(mkdtemp(dir=self.folder))
        (self.trap / "after").write_text(str(step))
        (self.folder / who).write_text(f"{self.trap}\n")
        yield (self.trap / "reached").exists
        (self.folder / who).unlink()
        (self.trap / "after").unlink()

    def steps(self):
        """What was done since the trap of last was set."""
        return (self.trap / "steps").read_text().splitlines()

    def file(self):
        return (self.folder / "traffic.conf").read_text()

    def is_settled(self):
        """Whether nginx has what is written, and nobody has anything left to do."""
        running = self.folder / "running"
        if not running.exists() or (self.folder / "traffic.conf.before").exists():
            return False
        return ":99999" not in self.file() and running.read_text() == self.file()


def kill(process):
    """With all that it began."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


@pytest.fixture
def front(request, tmp_path):
    front = Front(tmp_path, request.param)
    front.serve()
    yield front
    front.end()


def whole(front, *words):
    assert front.begin(*words, armed="never").wait(60) == 0


def killed_after(front, step, *words):
    """Whether it took that many steps, and so was killed."""
    with front.armed("shift", step) as reached:
        shift = front.begin(*words, armed="shift")
        eventually(lambda: reached() or shift.poll() is not None, what=f"step {step}")
        if not reached():
            return False
        kill(shift)
        return True


@pytest.mark.parametrize("comes", ["round", "start", "shift"])
@pytest.mark.parametrize("front", [GREEN, REFUSED], ids=["nginx takes it", "nginx refuses it"], indirect=True)
def test_a_shift_that_was_killed_anywhere_is_ended_or_undone_by_whoever_comes_next(front, comes):
    for step in count(1):
        whole(front, "blue")
        if not killed_after(front, step, "green"):
            break
        if comes == "start":
            front.end()
            front.serve()
        if comes == "shift":
            whole(front, "blue")
        eventually(front.is_settled, what=lambda: f"an end of what was killed after {front.steps()}")

    assert {"cp", "mv", "nginx -t"} < set(front.steps())
    assert ("nginx -s" in front.steps()) == (front.green == GREEN)


@pytest.mark.parametrize("front", [GREEN], indirect=True, ids=["one more leaves or comes"])
def test_a_round_that_was_killed_anywhere_is_ended_by_the_next_one(front):
    step, done = 1, set()
    for leaving in cycle(["10.0.0.2:8000", "nobody"]):
        with front.armed("round", step) as reached:
            (front.folder / "leaving").write_text(leaving)
            followed = partial(follows, front, leaving)
            eventually(partial(any_of, reached, followed), what=f"step {step}")
            if reached():
                front.kill_round()
                done.update(front.steps())
                step += 1
            elif "nginx -s" in done:
                break  # else it was a round that had begun before it was armed
        eventually(followed, what=f"an end of what was killed after step {step}")

    assert {"cp", "mv", "nginx -t", "nginx -s"} < done


def follows(front, leaving):
    """Whether nginx is told of all but the one that leaves."""
    return front.is_settled() and all((f"server {one} " in front.file()) == (one != leaving) for one in BLUE.split())


def any_of(*looks):
    return any(look() for look in looks)
