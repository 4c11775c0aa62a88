"""The whole stack as its operator sees it, through the command line."""

import json
import os
import signal
import subprocess
import sys

import pytest

from kirana.commands.up import examples
from kirana.stack import readiness
from kirana.stack.definitions import METHODS
from tests.builders.waiting import eventually
from tests.stack_fixture import environment_of, kirana


def status(stack):
    answered = kirana(stack.home, "status", "--json")
    return answered.returncode, json.loads(answered.stdout)


def process(stack, name):
    return next(found for found in status(stack)[1]["processes"] if found["name"] == name)


def test_status_lists_every_process_as_running(stack):
    code, found = status(stack)

    assert code == 0
    assert {entry["name"].rpartition("-")[0] or entry["name"] for entry in found["processes"]} >= {*METHODS, "edge"}
    assert all(entry["state"] == "RUNNING" and entry["pid"] > 0 for entry in found["processes"])


def test_status_for_people_finds_everything_well(stack):
    eventually(lambda: "well" in (shown := kirana(stack.home, "status").stdout) and "refused" not in shown)


def test_another_up_restarts_nothing(stack):
    before = {entry["name"]: entry["pid"] for entry in status(stack)[1]["processes"]}

    again = kirana(stack.home, "up")

    assert again.returncode == 0, again.stderr
    assert {entry["name"]: entry["pid"] for entry in status(stack)[1]["processes"]} == before


def test_the_printed_commands_work_when_pasted(stack):
    def pasted(command):
        return json.loads(subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout)

    shelves, login = examples(stack)

    eventually(lambda: len(pasted(shelves)) == 3, within=90)  # another test may just have killed a service
    eventually(lambda: pasted(login).get("token_type") == "Bearer", within=90)


@pytest.mark.parametrize("service", METHODS)
def test_a_killed_service_is_back_and_well(stack, service):
    before = process(stack, f"{service}-1")
    well = readiness.service(stack.amqp, METHODS[service])

    os.kill(before["pid"], signal.SIGKILL)

    eventually(lambda: process(stack, f"{service}-1")["restarts"] > before["restarts"])
    eventually(lambda: not well())


def test_a_killed_edge_is_back(stack):
    before = process(stack, "edge")
    well = readiness.edge(stack.edge_url)

    os.kill(before["pid"], signal.SIGKILL)

    eventually(lambda: process(stack, "edge")["pid"] not in {0, before["pid"]})
    eventually(lambda: not well())


def test_two_ups_at_once_take_turns(stack):
    command = ["kirana.cli", "up"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment_of(stack.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    written = [one.communicate(timeout=120)[0] for one in both]

    assert [one.returncode for one in both] == [0, 0], written
    assert sum("waiting for it" in text for text in written) == 1


def test_a_wrong_scale_is_refused_in_plain_words(stack):
    answered = kirana(stack.home, "up", "--scale", "warehouse=2")

    assert answered.returncode == 2
    assert "is no service" in answered.stderr
    assert "Traceback" not in answered.stderr


def test_the_doctor_finds_nothing_to_mend(stack):
    examined = kirana(stack.home, "doctor")

    assert examined.returncode == 0, examined.stdout
