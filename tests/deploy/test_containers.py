"""The containers describe the same system as the local stack, in files their own tools accept."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kirana.container_secrets import write
from rpc_services import health_file

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = {"edge", "identity", "catalog", "cart", "order", "notification"}


@pytest.mark.parametrize("profiles", [[], ["logs"], ["metrics"], ["tools"], ["logs", "metrics", "tools"]], ids=str)
def test_compose_itself_accepts_the_file(profiles):
    flags = [flag for profile in profiles for flag in ("--profile", profile)]

    done = subprocess.run(
        [BIN / "docker-compose", "-f", ROOT / "docker-compose.yml", *flags, "config", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip()


@pytest.mark.parametrize("dockerfile", sorted((ROOT / "docker").glob("*.Dockerfile")), ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(dockerfile):
    done = subprocess.run([BIN / "hadolint", dockerfile], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_process_of_the_shop_is_there_and_unprivileged():
    assert COMPOSE["services"].keys() >= SERVICES
    for name in SERVICES:
        service = COMPOSE["services"][name]
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
    for dockerfile in (ROOT / "docker").glob("*.Dockerfile"):
        assert "\nUSER 10001\n" in dockerfile.read_text()


def test_no_image_floats():
    images = [service["image"] for service in COMPOSE["services"].values()]

    assert not [image for image in images if image.endswith(":latest") or ":" not in image]


def test_secrets_are_files_and_never_values():
    for name, service in COMPOSE["services"].items():
        environment = service.get("environment", {})
        plain = [key for key in environment if key.endswith(("_URL", "PASSWORD", "SECRET", "PASSPHRASE"))]
        assert not [key for key in plain if "@" in str(environment[key])], name
        assert all(key.endswith("_FILE") for key in environment if "PASSWORD" in key), name


def test_only_the_edge_is_published_by_default_and_only_on_loopback():
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}

    assert {name for name in published if "profiles" not in COMPOSE["services"][name]} == {"edge"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_health_check_of_a_service_is_a_command_that_exists_and_reads_the_file_that_the_service_writes(tmp_path):
    dockerfile = (ROOT / "docker" / "service.Dockerfile").read_text()
    command = json.loads(re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", dockerfile, re.MULTILINE)[1])
    assert re.search(rf"^ENV (.*\\\n)*.*\b{health_file.VARIABLE}=/tmp/", dockerfile, re.MULTILINE)
    report = tmp_path / "health.json"

    def check():
        return subprocess.run(
            [sys.executable, *command[1:]],
            env=os.environ | {health_file.VARIABLE: str(report)},
            capture_output=True,
            check=False,
        ).returncode

    before = check()
    health_file.write_report(report, ok=True, dependencies={"broker": "ok"})

    assert (before, check()) == (1, 0)


def test_what_the_containers_mount_is_there():
    mounted = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert mounted
    assert not [path for path in mounted if not (ROOT / path).is_file()]


def test_every_secret_that_is_mounted_is_one_that_the_command_draws(tmp_path):
    drawn = write(tmp_path)

    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}

    assert wanted <= set(drawn)
