"""What docs/operations.md has operators apply by hand is valid, reaches what it must, and archives what is kept."""

import re
import shlex
import subprocess

import kubernetes_validate
import pytest
import yaml

from tests.builders.manifests import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
OLDEST = "1.31"


@pytest.fixture(scope="module")
def pod():
    """The one in which an operator's commands run."""
    return yaml.safe_load(re.search(r"<<'END'\n(.*?)\nEND\n", PAGE, re.DOTALL)[1])


def test_the_operators_pod_is_one_that_kubernetes_takes_in_a_restricted_namespace(pod):
    kubernetes_validate.validate(pod, OLDEST, strict=True)
    (container,) = pod["spec"]["containers"]

    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_it_goes_by_itself(pod):
    assert pod["spec"]["activeDeadlineSeconds"] == 3600


def test_it_runs_the_image_of_the_services_and_finds_the_operators_secrets(pod, prod):
    (container,) = pod["spec"]["containers"]
    told = {each["name"]: each["value"] for each in container["env"]}
    (secret,) = [each["secret"]["secretName"] for each in pod["spec"]["volumes"] if "secret" in each]

    assert container["image"] == prod.pod("order")["containers"][0]["image"]
    for setting in ("KIRANA_AMQP_URL_FILE", "KIRANA_CONSUL_TOKEN_FILE"):
        assert told[setting].removeprefix("/run/secrets/") in prod.secret_keys(secret)
    assert told["KIRANA_CONSUL_URL"] == prod.environment("order")["KIRANA_CONSUL_URL"]


def test_no_policy_is_needed_for_it_to_reach_broker_and_consul_and_no_deployment_takes_it_for_its_own(pod, prod):
    labels = pod["metadata"]["labels"]
    selectors = [each["spec"]["selector"]["matchLabels"] for each in prod.of("Deployment").values()]
    services = prod.one("NetworkPolicy", "services")["spec"]["podSelector"]["matchLabels"]

    assert services.items() <= labels.items()
    assert not [each for each in selectors if each.items() <= labels.items()]
    for each in prod.of("Service").values():
        assert not (each["spec"].get("selector") or {"none": ""}).items() <= labels.items()


def test_compose_runs_such_commands_in_a_task_that_has_the_operators_secrets_and_reaches_broker_and_consul():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    *_, name, arguments = shlex.split(re.search(r"^operate\(\) \{ (.*?); \}", PAGE, re.MULTILINE)[1])
    task = compose[name]

    assert arguments == "$@"
    assert task["entrypoint"] == ["kirana"]
    for setting in ("KIRANA_AMQP_URL_FILE", "KIRANA_CONSUL_TOKEN_FILE"):
        assert task["environment"][setting].removeprefix("/run/secrets/") in task["secrets"]
    assert set(task["networks"]) & set(compose["rabbitmq"]["networks"]) & set(compose["consul"]["networks"])


def test_in_the_pod_whoever_changes_something_says_who_that_is():
    """A pod knows nobody's name, and a history that names its container tells nobody anything."""
    typed = re.findall(r"^kubectl .*? exec .*?operator -- (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)
    changing = [line for line in typed if re.search(r"kirana (?:config|maintenance)", line)]

    assert len(typed) > len(changing) > 0
    assert [line for line in changing if not re.match(r"env KIRANA_OPERATOR=\w+ kirana ", line)] == []


def test_the_words_of_the_compose_function_are_whole():
    lines = re.search(r"^operate\(\) \{ (.*?)\}", PAGE, re.DOTALL | re.MULTILINE)[1].replace("\\\n", " ")

    assert shlex.split(lines)[:3] == ["docker", "compose", "run"]
    assert subprocess.run(["sh", "-n"], input=f"operate() {{ {lines} }}", text=True, check=False).returncode == 0


def test_the_databases_of_prod_are_archived_every_night_and_between(prod):
    cluster = prod.one("Cluster", "postgres")["spec"]
    store = cluster["backup"]["barmanObjectStore"]
    night = prod.one("ScheduledBackup", "postgres")["spec"]

    assert night["cluster"] == {"name": "postgres"}
    assert night["method"] == "barmanObjectStore"
    assert len(night["schedule"].split()) == 6
    assert store["wal"]
    assert re.fullmatch(r"\d+d", cluster["backup"]["retentionPolicy"])
    for key in store["s3Credentials"].values():
        assert key["key"] in prod.secret_keys(key["name"])
    assert "-system-" in cluster["imageName"], "others lack Barman Cloud"
