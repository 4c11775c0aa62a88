"""Every process is told all it needs and nothing that it would not read, and gets just its own secrets."""

import base64
import json
import re
from importlib import import_module

import pytest

from edge import settings as edge_settings
from kirana.container_secrets import write
from rpc_services.running import read_process_settings
from shared.logs.holding import LENIENCE
from shipper import settings as shipper_settings
from shipper.dead_letters import MOST_BYTES
from tests.builders.manifests import PROCESSES, ROOT

FROM_OUTSIDE = {"smtp_url", "elastic_ca", "backup_access_key_id", "backup_secret_access_key"}
"""What no `kirana secrets` can draw: docs/operations.md says where it comes from."""


def known_settings():
    """Every name that the code reads: with a Reader, or by itself."""
    found = set()
    for folder in ("edge", "shared", "rpc_services", "shipper"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            found |= {f"KIRANA_{name}" for name in re.findall(r"\.read\(\s*\"([A-Z_]+)\"", text)}
            found |= set(re.findall(r"\"(KIRANA_[A-Z_]+)\"", text))
    return found


@pytest.mark.parametrize("name", PROCESSES)
def test_every_word_is_one_that_the_code_reads(name, manifests):
    told = {each.removesuffix("_FILE") if secret(each) else each for each in manifests.environment(name)}

    assert told
    assert told <= known_settings()


def secret(name):
    return name.endswith("_FILE") and name != "KIRANA_HEALTH_FILE"


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_would_start_with_what_it_is_told(name, manifests, tmp_path):
    write(tmp_path)
    told = manifests.environment(name)
    for setting in filter(secret, list(told)):
        key = told[setting].rpartition("/")[2]
        path = tmp_path / key
        if not path.exists():
            path.write_text("smtps://shop:word@mail.example.com" if key == "smtp_url" else "a-token-from-outside")
        told[setting] = str(path)

    if name == "edge":
        read = edge_settings.read_settings(told)
        assert read.metrics.port == 9700
    else:
        assert read_process_settings(name, told).metrics.port == 9700
        own = ROOT / "rpc_services" / name / "settings.py"
        assert own.exists()
        import_module(f"rpc_services.{name}.settings").read_settings(told)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_finds_each_secret_where_it_looks_and_no_other(name, manifests):
    told = manifests.environment(name)
    looked_for = {told[setting] for setting in told if secret(setting)}

    assert looked_for == set(manifests.files(name))


@pytest.mark.parametrize("name", PROCESSES)
def test_the_shipper_beside_a_process_reads_what_that_writes(name, prod, tmp_path):
    told = prod.environment(name, beside="shipper")
    (tmp_path / "elastic_ca").write_text("")
    (tmp_path / "shipper_password").write_text("from outside")
    placed = {key: value.replace("/run/secrets", str(tmp_path)) for key, value in told.items()}

    read = shipper_settings.read_settings(placed)

    assert str(read.spool) == prod.environment(name)["KIRANA_LOG_SPOOL"]
    assert told["KIRANA_METRICS_PORT"] != prod.environment(name)["KIRANA_METRICS_PORT"]
    assert {told["KIRANA_ELASTICSEARCH_CA"], told["KIRANA_ELASTICSEARCH_PASSWORD_FILE"]} == set(
        prod.files(name, beside="shipper")
    )
    assert set(told) - {"KIRANA_JWT_ISSUER", "KIRANA_TRUSTED_PROXIES", "KIRANA_MAIL_FROM"} <= known_settings() | {
        "KIRANA_ELASTICSEARCH_PASSWORD_FILE"
    }


def test_the_shipper_has_room_for_what_it_keeps(prod):
    """Twice its bound, as writers keep while it does not run, the open files of both, and its dead letters."""
    spool = next(volume for volume in prod.pod("edge")["volumes"] if volume["name"] == "spool")
    limit = int(spool["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20

    bound = int(prod.environment("edge", beside="shipper")["KIRANA_SHIPPER_DISK_BYTES"])
    assert LENIENCE * bound + 2 * 128 * 2**20 + 2 * MOST_BYTES < limit


def test_every_secret_that_a_store_or_a_job_mounts_is_declared(manifests):
    for name, _, _ in manifests.pods():
        manifests.files(name)  # fails when it is not


def test_a_migration_gets_its_database_and_nothing_else(dev):
    migrations = [name for name in dev.of("Job") if name.startswith("migrate-")]

    assert len(migrations) == 4
    for name in migrations:
        service = name.removeprefix("migrate-")
        assert set(dev.files(name)) == {f"/run/secrets/{service}_database_url"}


def test_prod_asks_its_store_for_what_the_command_draws(prod, upgrade, tmp_path):
    drawn = set(write(tmp_path))
    asked = {
        each["remoteRef"]["key"].removeprefix("kirana/")
        for secret in [*prod.of("ExternalSecret").values(), *upgrade.of("ExternalSecret").values()]
        for each in secret["spec"]["data"]
    }

    assert asked <= drawn | FROM_OUTSIDE
    assert asked >= FROM_OUTSIDE


def test_prod_has_no_secret_of_its_own(prod):
    assert not prod.of("Secret")
    assert "@" not in "".join(prod.one("ConfigMap", "kirana")["data"].values()).replace("shop@example.com", "")


def test_dev_has_the_secrets_that_were_drawn(dev, copied):
    made = dev.one("Secret", "edge")["data"]["edge_amqp_url"]

    assert (
        base64.b64decode(made).decode()
        == (copied / "kubernetes" / "overlays" / "dev" / "secrets" / "edge_amqp_url").read_text()
    )


def test_the_hosts_of_the_secrets_are_services_of_the_cluster(dev, prod, tmp_path):
    write(tmp_path)
    named = {
        re.search(r"@([a-z-]+):", (tmp_path / name).read_text())[1]
        for name in ("edge_amqp_url", "order_database_url", "redis_carts_url", "redis_edge_url")
    }

    assert named <= set(dev.of("Service"))
    assert named <= set(prod.of("RabbitmqCluster", "Redis")) | {
        service["serviceTemplate"]["metadata"]["name"]
        for service in prod.one("Cluster", "postgres")["spec"]["managed"]["services"]["additional"]
    }


def test_each_database_of_prod_belongs_to_a_role_with_a_password(prod):
    cluster = prod.one("Cluster", "postgres")["spec"]
    roles = {role["name"]: role["passwordSecret"]["name"] for role in cluster["managed"]["roles"]}

    for name, database in prod.of("Database").items():
        assert database["spec"]["name"] == f"kirana_{name}"
        assert prod.secret_keys(roles[database["spec"]["owner"]]) == {"username", "password"}


def test_consul_of_prod_is_configured_as_everywhere_and_dev_differs_only_where_it_must(prod, dev):
    of_prod = json.loads(prod.one("ConfigMap", "consul")["data"]["agent.json"])
    of_dev = json.loads(dev.one("ConfigMap", "consul")["data"]["agent.json"])

    assert of_prod == json.loads((ROOT / "consul" / "server.json").read_text())
    assert of_prod["bootstrap_expect"] == prod.one("StatefulSet", "consul")["spec"]["replicas"]
    assert of_dev["bootstrap_expect"] == dev.one("StatefulSet", "consul")["spec"]["replicas"]
