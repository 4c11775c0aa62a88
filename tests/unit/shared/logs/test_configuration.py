import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
{patch}
import logging, pathlib, warnings
import structlog
from shared.logs import configure
configure(service="order", instance="order-1", spool=pathlib.Path(r"{folder}"))
structlog.contextvars.bind_contextvars(**{{"http.request.id": "r-1"}})
log = structlog.get_logger()
log.debug("not.shown")
log.info("order.placed", order_id="o1")
logging.getLogger("sqlalchemy.engine").info("SELECT secrets")
logging.getLogger("kombu").warning("cannot connect to %s", "amqp://u:hunter2@h/")
logging.getLogger("kombu").warning("%d", "not a number")
raise ValueError("the end")
"""


def run(folder, patch=""):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.format(folder=folder, patch=patch)],
        env=os.environ | {"KIRANA_BUILD": "on-trial"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, [json.loads(line) for line in (folder / "order-1.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("patch", ["", "import eventlet; eventlet.monkey_patch()"], ids=["asyncio", "greenlets"])
def test_own_lines_library_lines_and_the_crash_are_one_stream(tmp_path, patch):
    done, lines = run(tmp_path, patch)

    assert [line["message"] for line in lines] == [
        "order.placed", "cannot connect to amqp://[redacted]@h/", "%d", "process.crashed",
    ]  # fmt: skip
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == lines
    assert all(line["http"]["request"]["id"] == "r-1" for line in lines)
    assert all(
        line["service"] == {"name": "order", "node": {"name": "order-1"}, "environment": "local", "version": "on-trial"}
        for line in lines
    )
    assert lines[-1]["error"]["message"] == "the end"
