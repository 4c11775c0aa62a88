"""With access control on, each process may do exactly what it has to do with Consul, and nothing else."""

import asyncio
import json
import stat
import uuid

import httpx
import pytest

from edge.discovery.agent import ConsulAgent
from edge.discovery.table import Instance
from kirana.configuration import tokens
from kirana.stack.state import CHECKOUT

SERVICES = ("identity", "catalog", "cart", "order", "notification")
EVERYBODY = ("edge", *SERVICES)
ROUTES = "kirana/edge/routes"


def a_registration(service, number):
    check = {"CheckID": f"service:{service}-{number}", "TTL": "600s"}
    return {"ID": f"{service}-{number}", "Name": service, "Check": check}


class Trier:
    """Tries everything with one token, and names what it may."""

    def __init__(self, guarded, name):
        self._client = httpx.Client(
            base_url=guarded.url, headers={"X-Consul-Token": guarded.token(name)}, timeout=20, trust_env=False
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.close()

    def may(self):
        actions = {f"announce {one}": lambda one=one: self.announce(one) for one in EVERYBODY}
        actions |= {f"see {one}": lambda one=one: self.sees(f"health/service/{one}") for one in EVERYBODY}
        actions |= {"see nodes": lambda: self.sees("catalog/nodes"), "read metrics": lambda: self.gets("agent/metrics")}
        actions |= {"administer": lambda: self.gets("acl/tokens"), "change nodes": self.changes_nodes}
        for key in (ROUTES, "kirana/history/routes/1", "other", *(f"kirana/maintenance/{one}-1" for one in EVERYBODY)):
            actions[f"read {key}"] = lambda key=key: self.gets(f"kv/{key}")
            actions[f"write {key}"] = lambda key=key: self.put(f"kv/{key}", content=b"x")
        return {name for name, action in actions.items() if action()}

    def announce(self, service):
        """Register, report, and leave: a process does all three; who may not, may not touch another's either."""
        steps = [self.put("agent/service/register", json=a_registration(service, 7))]
        number = 7 if steps[0] else 1
        steps.append(self.put(f"agent/check/pass/service:{service}-{number}"))
        steps.append(self.put(f"agent/service/deregister/{service}-{number}"))
        assert len(set(steps)) == 1, f"{service}: {steps}"
        return all(steps)

    def sees(self, path):
        return bool(self.answer("GET", path).json())

    def gets(self, path):
        return self.answer("GET", path).is_success

    def changes_nodes(self):
        return self.put("catalog/register", json={"Node": f"stranger-{uuid.uuid4()}", "Address": "127.0.0.9"})

    def put(self, path, **body):
        return self.answer("PUT", path, **body).is_success

    def answer(self, method, path, **body):
        answer = self._client.request(method, f"/v1/{path}", **body)
        assert answer.is_success or answer.status_code in {403, 404} or "ermission denied" in answer.text, answer.text
        return answer


SEEING = {"see nodes", *(f"see {one}" for one in EVERYBODY)}
KEYS = (ROUTES, "kirana/history/routes/1", *(f"kirana/maintenance/{one}-1" for one in EVERYBODY))
MAY = {
    "edge": SEEING | {"announce edge", f"read {ROUTES}", f"write {ROUTES}", "read kirana/maintenance/edge-1"},
    "operator": SEEING | {f"{verb} {key}" for verb in ("read", "write") for key in KEYS},
    "agent": SEEING | {"change nodes"},
} | {one: {f"announce {one}", f"read kirana/maintenance/{one}-1"} for one in SERVICES}


@pytest.fixture(scope="module")
def peopled(guarded):
    """One instance of everybody, and a value under every key, so that seeing and reading can be told from absence."""
    with Trier(guarded, "first") as master:
        for one in EVERYBODY:
            assert master.put("agent/service/register", json=a_registration(one, 1))
        for key in (*KEYS, "other"):
            assert master.put(f"kv/{key}", content=b"{}")
        yield guarded
        for one in EVERYBODY:
            assert master.put(f"agent/service/deregister/{one}-1")
        for key in (*KEYS, "other"):
            assert master.answer("DELETE", f"kv/{key}").is_success


@pytest.mark.parametrize("name", tokens.names())
def test_each_token_may_do_exactly_what_its_process_does(peopled, name):
    with Trier(peopled, name) as trier:
        assert trier.may() == MAY[name]


def test_without_a_token_nothing_is_allowed(peopled):
    peopled.file("nobody").write_text("")

    with Trier(peopled, "nobody") as trier:
        assert trier.may() == set()


def test_the_edges_own_client_shows_its_token(peopled):
    async def live():
        agent = ConsulAgent(peopled.url, peopled.token("edge"))
        try:
            instance = Instance("edge-8", "edge", "127.0.0.1", 8000)
            await agent.register(instance, check_id="service:edge-8", ttl_seconds=10, meta={})
            held = await agent.renew("service:edge-8", "passing", "well")
            _, nodes = await agent.instances("edge", index=None)
            _, value, index = await agent.value(ROUTES, index=None)
            written = await agent.put(ROUTES, value, unchanged_since=index)
            await agent.deregister("edge-8")
        finally:
            await agent.close()
        return held, [node["Service"]["ID"] for node in nodes], written

    held, seen, written = asyncio.run(live())

    assert held
    assert "edge-8" in seen
    assert written


def test_tokens_are_given_once_replaced_when_lost_and_read_by_their_owner_only(guarded):
    before = {name: guarded.token(name) for name in tokens.names()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in guarded.folder.glob("*_token")} <= {0o600, 0o644}
    guarded.file("cart").unlink()

    again = guarded.run("config", "access", "--into", str(guarded.folder))

    assert again.returncode == 0, again.stderr
    after = {name: guarded.token(name) for name in tokens.names()}
    assert {name for name in before if before[name] != after[name]} == {"cart"}
    old = httpx.get(f"{guarded.url}/v1/acl/token/self", headers={"X-Consul-Token": before["cart"]}, trust_env=False)
    assert old.status_code == 403


@pytest.mark.parametrize("name", ["server", "client", "agent"])
def test_consul_takes_every_configuration_file(guarded, name):
    file = CHECKOUT / "consul" / f"{name}.json"

    assert "Configuration is valid" in guarded.server.validate(file)
    assert json.loads(file.read_text())["disable_remote_exec"]
