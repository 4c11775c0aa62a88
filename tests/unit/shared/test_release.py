import os
import subprocess
import sys
from importlib.metadata import version

import pytest


@pytest.mark.parametrize(
    ("started_as", "release"),
    [({"KIRANA_BUILD": "on-trial"}, "on-trial"), ({"KIRANA_BUILD": ""}, version("kirana")), ({}, version("kirana"))],
    ids=["named", "an empty name", "not named"],
)
def test_a_release_is_called_what_whoever_started_it_calls_it_else_by_the_packages_version(started_as, release):
    environment = {name: value for name, value in os.environ.items() if name != "KIRANA_BUILD"} | started_as
    command = [sys.executable, "-c", "from shared.release import VERSION; print(VERSION)"]

    assert subprocess.check_output(command, env=environment, text=True).strip() == release
