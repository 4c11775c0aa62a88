"""The containers describe the same system as the local stack, in files their own tools accept."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kirana.configuration.tokens import file_of
from kirana.container_secrets import write
from rpc_services import health_file
from tests.builders.compose import rendered

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROFILES = ("green", "logs", "metrics", "operator", "tools")
SERVICES = {"edge", "identity", "catalog", "cart", "order", "notification"}
TASKS = {"broker-definitions", "consul-access", "elastic-setup", "kibana-setup", "operator"}


RENDERED = rendered()


@pytest.mark.parametrize("profiles", [[], *([each] for each in PROFILES), PROFILES], ids=str)
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


def test_every_image_of_others_is_pinned_to_a_patch():
    """By digest it would be better still; docs/operations.md says how to write those where a registry can be asked."""
    of_others = {service["image"] for service in COMPOSE["services"].values() if "kirana/" not in service["image"]}
    for dockerfile in (ROOT / "docker").glob("*.Dockerfile"):
        text = dockerfile.read_text()
        of_others |= set(re.findall(r"^ARG \w+_IMAGE=(\S+)$", text, re.MULTILINE))
        assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${PYTHON_IMAGE}", "${NGINX_IMAGE}"}

    assert len(of_others) >= 14
    assert not [image for image in of_others if not re.search(r":v?\d+\.\d+(?:\.\d+)?(?:-[a-z-]+)?$", image)]
    assert {image for image in of_others if not re.search(r":v?\d+\.\d+\.\d+", image)} == {
        image for image in of_others if image.startswith("postgres:")
    }  # whose versions have two numbers


def test_secrets_are_files_and_never_values():
    for name, service in COMPOSE["services"].items():
        environment = service.get("environment", {})
        plain = [key for key in environment if key.endswith(("_URL", "PASSWORD", "SECRET", "PASSPHRASE"))]
        assert not [key for key in plain if "@" in str(environment[key])], name
        assert all(key.endswith("_FILE") for key in environment if "PASSWORD" in key), name


def test_only_nginx_is_published_by_default_and_only_on_loopback():
    published = {name: service["ports"] for name, service in RENDERED["services"].items() if "ports" in service}

    assert {name for name in published if "profiles" not in COMPOSE["services"][name]} == {"nginx"}
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_no_store_can_be_reached_from_outside_and_no_edge_can_reach_one():
    networks = {name: set(service.get("networks", ())) for name, service in RENDERED["services"].items()}
    internal = {name for name, network in RENDERED["networks"].items() if network.get("internal")}

    assert internal >= {"proxied", "bus", "stores"}
    for store in ("postgres", "redis-carts", "redis-edge", "rabbitmq", "consul"):
        assert networks[store] <= internal, store
    for edge in ("edge", "edge-green"):
        assert networks[edge] == {"proxied", "bus"}
    assert {name for name in networks if "proxied" in networks[name]} == {"nginx", "edge", "edge-green"}
    assert "stores" in networks["postgres"] & networks["redis-carts"]


def test_the_edges_believe_their_proxies_and_nobody_else():
    subnet = RENDERED["networks"]["proxied"]["ipam"]["config"][0]["subnet"]

    for edge in ("edge", "edge-green"):
        assert RENDERED["services"][edge]["environment"]["KIRANA_TRUSTED_PROXIES"] == subnet


@pytest.mark.parametrize("name", sorted(SERVICES | {"edge-green"}))
def test_each_process_is_known_to_consul_by_a_token_of_its_own_and_holds_no_other(name):
    service = COMPOSE["services"][name]
    own = file_of(name.removesuffix("-green"))

    assert service["environment"]["KIRANA_CONSUL_TOKEN_FILE"] == f"/run/secrets/{own}"
    assert {each for each in service["secrets"] if each.endswith("_consul_token")} == {own}


def test_an_edge_can_be_there_several_times():
    """Compose cannot give one name, or one port of this machine, to two containers."""
    for name in SERVICES:
        assert "container_name" not in RENDERED["services"][name]
        assert "ports" not in RENDERED["services"][name]


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_nothing_may_use_up_the_machine_and_each_comes_back_unless_it_has_one_task(name):
    service = RENDERED["services"][name]

    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() >= {"cpus", "memory", "pids"}
    is_task = name.startswith("migrate-") or name in TASKS
    assert service["restart"] == ("no" if is_task else "unless-stopped")
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert "max-size" in service["logging"]["options"]


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_nobody_waits_for_a_container_that_only_has_started(name):
    """`up --wait` then means that everything is usable."""
    needed = RENDERED["services"][name].get("depends_on", {})

    assert {each["condition"] for each in needed.values()} <= {"service_healthy", "service_completed_successfully"}
    for other, how in needed.items():
        if how["condition"] == "service_healthy":
            health = RENDERED["services"][other].get("healthcheck", {})
            assert "test" in health or other in SERVICES, f"{name} waits for {other}, which says of its health nothing"


def test_the_example_of_settings_names_what_compose_reads_and_its_defaults():
    text = (ROOT / "docker-compose.yml").read_text()
    read = dict(re.findall(r"\$\{([A-Z_]+):?-((?:\$\{[^}]*\}|[^}])*)\}", text))

    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert example == read


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
    assert not [path for path in mounted if not (ROOT / path).exists()]


def test_every_secret_that_is_mounted_is_one_that_the_command_draws(tmp_path):
    drawn = write(tmp_path)

    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}

    assert wanted <= set(drawn)
