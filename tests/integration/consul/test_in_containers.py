"""Consul as the containers run it, and the task that makes known to it who is who."""

import asyncio
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml

from edge.discovery.agent import ConsulAgent
from edge.discovery.registration import Registration
from edge.discovery.table import Instance
from kirana.configuration.tokens import file_of, names
from kirana.container_secrets import write
from kirana.stack import consul_binary
from kirana.stack.faults import NotRunning
from kirana.stack.state import CHECKOUT
from tests.builders.consul import Consul
from tests.stack_fixture import kirana

COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SECRETS = {name: Path(secret["file"]).name for name, secret in COMPOSE["secrets"].items()}
ROUTES = "kirana/edge/routes"
PAGE = (CHECKOUT / "docs" / "operations.md").read_text()
BACK_UP = PAGE.partition("## Back-up and restore")[2].partition("### Compose")[2].partition("### Kubernetes")[0]
LINES = BACK_UP.replace("\\\n", " ").splitlines()
CONTAINER = """#!/bin/sh
# What "docker compose exec -T consul" stands for here: the rest of the line, beside the server.
[ "$1 $2 $3 $4" = "compose exec -T consul" ] || exit 64
shift 4
exec "$@"
"""


class Shop:
    """The service ``consul`` of the compose file on a port of its own, and its task, with freshly drawn secrets."""

    def __init__(self, folder):
        self.secrets = folder / "run" / "secrets"
        drawn = folder / "drawn"
        write(drawn)
        self.secrets.mkdir(parents=True)
        for name in COMPOSE["services"]["consul-access"]["secrets"]:
            shutil.copy(drawn / SECRETS[name], self.secrets / name)
        known = (drawn / "consul.json").read_text()
        # The server that can be had here is older than 1.11, which gave this word its present name.
        (self.secrets / "consul.json").write_text(known.replace("initial_management", "master"))
        self.server = Consul(*self._configuration())

    def _configuration(self):
        service = COMPOSE["services"]["consul"]
        mounted = {"/run/secrets": self.secrets} | mounts(service)
        files = [word.removeprefix("-config-file=") for word in service["command"] if word.startswith("-config-file=")]
        assert len(files) == 3
        return [placed(file, mounted) for file in files]

    def admit(self, *, wait=None):
        """Run the task as its container would; ``wait``: for so many seconds, and not as many as written there."""
        task = COMPOSE["services"]["consul-access"]
        mounted = {"/run/secrets": self.secrets} | mounts(task)
        program, *words = task["entrypoint"]
        assert program == "kirana"
        if wait is not None:
            words[words.index("--wait") + 1] = str(wait)
        told = {name: str(placed(value, mounted)) for name, value in task["environment"].items()}
        return kirana(
            self.secrets,
            *(str(placed(word, mounted)) for word in words),
            variables=told | {"KIRANA_CONSUL_URL": self.server.url},
        )

    def token(self, name):
        return (self.secrets / file_of(name)).read_text().strip()

    def may(self, name, method, path, **body):
        token = {"X-Consul-Token": self.token(name)} if name else {}
        answer = httpx.request(method, f"{self.server.url}/v1/{path}", headers=token, trust_env=False, **body)
        assert answer.status_code in {200, 403, 404}, answer.text
        return answer.status_code != 403


def mounts(service):
    """Where in the container each file or folder of this checkout lies."""
    pairs = (volume.split(":") for volume in service["volumes"] if volume.startswith("./"))
    return {inside: CHECKOUT / here for here, inside, _ in pairs}


def placed(word, mounted):
    for inside, here in mounted.items():
        if word == inside or word.startswith(f"{inside}/"):
            return Path(f"{here}{word.removeprefix(inside)}")
    return word


@pytest.fixture(scope="module")
def peopled(tmp_path_factory):
    """After the task, which may have to wait until access control is there."""
    shop = Shop(tmp_path_factory.mktemp("containers"))
    with shop.server:
        admitted = shop.admit(wait=120)
        assert admitted.returncode == 0, admitted.stderr
        yield shop


def test_the_task_waits_for_a_consul_that_begins_later_and_for_its_access_control(tmp_path):
    shop = Shop(tmp_path)
    with ThreadPoolExecutor() as pool:
        task = pool.submit(shop.admit, wait=120)
        with shop.server:
            done = task.result()

    assert done.returncode == 0, done.stderr


def test_of_a_consul_that_never_comes_the_task_says_so_when_its_time_is_over(tmp_path):
    done = kirana(
        tmp_path, "config", "access", "--wait", "1", "--into", str(tmp_path), "--consul", "http://127.0.0.1:9"
    )

    assert done.returncode == NotRunning.exit_code
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_began_before_its_token_was_known_is_heard_as_soon_as_it_is(tmp_path):
    async def live(shop):
        agent = ConsulAgent(shop.server.url, shop.token("edge"))
        registration = Registration(agent, Instance("edge-8", "edge", "127.0.0.1", 8000), Well())
        try:
            await registration.beat()
            before = registration.is_held
            admitted = await asyncio.to_thread(shop.admit, wait=120)
            assert admitted.returncode == 0, admitted.stderr
            await registration.beat()
            held = registration.is_held
            await registration.leave()
        finally:
            await agent.close()
        return before, held

    shop = Shop(tmp_path)
    with shop.server:
        assert asyncio.run(live(shop)) == (False, True)


class Well:
    def dependencies(self):
        return {"broker": "ok"}


def test_without_a_token_nothing_can_be_read_or_written(peopled):
    assert not peopled.may(None, "PUT", f"kv/{ROUTES}", content=b"{}")
    assert not peopled.may(None, "GET", f"kv/{ROUTES}")
    assert not peopled.may(None, "PUT", "agent/service/register", json={"ID": "edge-9", "Name": "edge"})


def test_the_health_check_of_the_container_needs_none(peopled):
    (check,) = (word for word in COMPOSE["services"]["consul"]["healthcheck"]["test"] if "wget" in word)

    assert "/v1/status/leader" in check
    assert peopled.may(None, "GET", "status/leader")


def test_an_operator_may_change_what_a_service_may_not(peopled):
    assert peopled.may("operator", "PUT", f"kv/{ROUTES}", content=b"{}")
    for name in ("cart", "agent"):
        assert not peopled.may(name, "PUT", f"kv/{ROUTES}", content=b"{}"), name
    assert peopled.may("cart", "PUT", "agent/service/register", json={"ID": "cart-9", "Name": "cart"})
    assert not peopled.may("cart", "PUT", "agent/service/register", json={"ID": "edge-9", "Name": "edge"})


def test_the_task_runs_again_and_changes_nothing(peopled):
    before = {name: peopled.token(name) for name in names()}

    again = peopled.admit()

    assert again.returncode == 0, again.stderr
    assert again.stdout.count("as before") == len(names())
    assert {name: peopled.token(name) for name in names()} == before


def test_a_token_that_was_drawn_once_more_ends_the_one_before(peopled):
    old, file = peopled.token("order"), peopled.secrets / file_of("order")
    file.write_text("0b6a4f6e-6a0e-4b6b-9a86-0d4d8e5f2c11")

    done = peopled.admit()

    assert done.returncode == 0, done.stderr
    assert peopled.may("order", "GET", "kv/kirana/maintenance/order-1")
    kept = peopled.token("order")
    file.write_text(old)
    assert not peopled.may("order", "GET", "kv/kirana/maintenance/order-1")
    file.write_text(kept)


def test_a_consul_that_lost_its_data_knows_the_same_tokens_again(peopled):
    before = {name: peopled.token(name) for name in names()}
    peopled.server.end()
    shutil.rmtree(peopled.server.home / "data")
    peopled.server.start()

    again = peopled.admit(wait=120)

    assert again.returncode == 0, again.stderr
    assert {name: peopled.token(name) for name in names()} == before
    assert peopled.may("edge", "PUT", f"kv/{ROUTES}", content=b"{}")


def typed(command, shop, folder):
    """Run the documented line with this command of Consul's, in a folder with the drawn token."""
    place = folder / "docker" / "secrets"
    if not place.exists():
        place.mkdir(parents=True)
        shutil.copy(shop.secrets / file_of("operator"), place)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "docker").write_text(CONTAINER)
        (programs / "docker").chmod(0o755)
        (programs / "consul").symlink_to(consul_binary.present(shop.server.home))
    (line,) = (each for each in LINES if command in each)
    path = f"{folder / 'programs'}:{os.environ['PATH']}"
    told = {"PATH": path, "CONSUL_HTTP_ADDR": shop.server.url, "to": str(folder)}
    return subprocess.run(["sh", "-c", line], cwd=folder, env=told, capture_output=True, text=True, check=False)


def test_the_keys_are_kept_and_put_back_by_the_words_of_the_page(peopled, tmp_path):
    """With the token as it is drawn: without an end of line."""
    operator = {"X-Consul-Token": peopled.token("operator")}
    keys = {ROUTES: '{"version": 7}', "kirana/maintenance/edge-1": "Asha: a new disk"}

    def asked(method, key, **words):
        return httpx.request(method, f"{peopled.server.url}/v1/kv/{key}", headers=operator, trust_env=False, **words)

    for key, value in keys.items():
        assert asked("PUT", key, content=value).is_success
    kept = typed("consul kv export", peopled, tmp_path)
    assert asked("DELETE", "kirana/", params={"recurse": ""}).is_success
    assert asked("GET", ROUTES).status_code == 404
    back = typed("consul kv import", peopled, tmp_path)

    assert (kept.returncode, kept.stderr) == (0, "")
    assert (back.returncode, back.stderr) == (0, "")
    assert {key: asked("GET", key, params={"raw": ""}).text for key in keys} == keys
    assert asked("DELETE", "kirana/", params={"recurse": ""}).is_success


def test_a_file_that_holds_no_token_is_named_and_nothing_is_changed(peopled):
    file = peopled.secrets / file_of("cart")
    before = file.read_text()
    file.write_text("no token\n")

    refused = peopled.admit()

    assert refused.returncode == 1
    assert str(file) in refused.stderr.replace("\n", "")
    assert "Traceback" not in refused.stderr
    file.write_text(before)
