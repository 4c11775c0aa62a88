"""What is applied is valid, holds every process with all that keeps it alive, and asks for no more than it needs."""

import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.builders.manifests import PROCESSES, ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BY_OPERATORS = {
    "AlertmanagerConfig",
    "Cluster",
    "Database",
    "ExternalSecret",
    "Gateway",
    "HTTPRoute",
    "PodMonitor",
    "PrometheusRule",
    "RabbitmqCluster",
    "Redis",
    "ScheduledBackup",
}
"""Kinds whose schemas come with their operators, not with Kubernetes."""


OLDEST = "1.31"
"""The oldest Kubernetes that knows every word used here."""


def test_kubernetes_knows_every_word(rendered, tmp_path):
    paths = [tmp_path / f"{name}.yaml" for name in rendered]
    for path, manifests in zip(paths, rendered.values(), strict=True):
        path.write_text(manifests.text)

    done = subprocess.run(
        [Path(sys.executable).parent / "kubernetes-validate", "--strict", "--quiet", *paths],
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert set(re.findall(r"find schema for kind (\w+)", said)) <= BY_OPERATORS


def test_so_does_the_oldest_that_is_supported(prod):
    for each in prod.all:
        if each["kind"] not in BY_OPERATORS:
            kubernetes_validate.validate(each, OLDEST, strict=True)


def test_a_misspelt_word_would_be_found(dev):
    edge = deepcopy(dev.one("Deployment", "edge"))
    (container,) = edge["spec"]["template"]["spec"]["containers"]
    container["livenesProbe"] = container.pop("livenessProbe")

    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(edge, OLDEST, strict=True)


def test_every_process_is_there(manifests):
    assert set(manifests.of("Deployment")) == set(PROCESSES)


def test_every_task_that_compose_runs_before_the_services_is_a_job(rendered):
    jobs = {name for name in COMPOSE if name.startswith("migrate-")} | {"broker-definitions"}

    assert set(rendered["dev"].of("Job")) == jobs
    assert set(rendered["prod migrations"].of("Job")) == jobs


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_scales_survives_a_drained_node_and_is_spread(name, prod):
    scaled = prod.one("HorizontalPodAutoscaler", name)["spec"]
    kept = prod.one("PodDisruptionBudget", name)["spec"]
    deployment = prod.one("Deployment", name)["spec"]

    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert 2 <= scaled["minReplicas"] < scaled["maxReplicas"]
    assert {metric["type"] for metric in scaled["metrics"]} == {"Pods", "Resource"}
    assert "replicas" not in deployment  # else every change would undo what the autoscaler did
    assert (kept["maxUnavailable"], kept["selector"]) == (1, deployment["selector"])
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_no_two_kinds_of_pods_answer_to_one_selector(dev):
    pods = {name: labels for name, labels, _ in dev.pods()}

    for owner in dev.of("Deployment", "StatefulSet").values():
        wanted = owner["spec"]["selector"]["matchLabels"].items()
        assert [name for name, labels in pods.items() if wanted <= labels.items()] == [owner["metadata"]["name"]]


def test_a_process_leaves_only_after_its_successor_is_ready(manifests):
    for deployment in manifests.of("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_service_has_longer_to_stop_than_docker_compose_gives_it(manifests):
    for name in PROCESSES:
        granted = int(COMPOSE[name]["stop_grace_period"].removesuffix("s"))
        assert manifests.pod(name)["terminationGracePeriodSeconds"] > granted, name


def test_every_container_says_how_it_is_and_what_it_needs(manifests):
    for name, labels, spec in manifests.pods():
        (container,) = spec["containers"]
        assert container["resources"].keys() == {"requests", "limits"}, name
        assert "memory" in container["resources"]["limits"], name
        if labels["app.kubernetes.io/component"] not in {"migration", "definitions"}:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), name


def test_nobody_is_restarted_for_what_is_wrong_elsewhere(manifests):
    """A liveness probe that asked for dependencies would restart the whole shop when one store is away."""
    for name in PROCESSES:
        (container,) = manifests.pod(name)["containers"]
        probe = container["livenessProbe"]
        if name == "edge":
            assert probe["httpGet"]["path"] == "/health/live"
        else:
            assert probe["exec"]["command"] == ["python3", "-m", "rpc_services", "alive"]
        assert probe["timeoutSeconds"] < probe["periodSeconds"]


def test_an_edge_in_maintenance_is_sent_nothing_and_one_whose_dependencies_are_away_is(manifests):
    (container,) = manifests.pod("edge")["containers"]

    assert container["readinessProbe"]["httpGet"] == {"path": "/health/serving", "port": "http"}


def test_a_new_version_joins_only_when_all_it_needs_answers(manifests):
    for name in PROCESSES:
        (container,) = manifests.pod(name)["containers"]
        probe = container["startupProbe"]
        if name == "edge":
            assert probe["httpGet"] == {"path": "/health/ready", "port": "http"}
        else:
            assert probe["exec"]["command"] == ["python3", "-m", "rpc_services", "healthy"]


def test_every_pod_keeps_to_the_restricted_standard(manifests):
    """As pod-security.kubernetes.io/enforce: restricted has it, and a root file system that nobody writes to."""
    for name, _, spec in manifests.pods():
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert not [volume for volume in spec.get("volumes", ()) if "hostPath" in volume], name
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert own.get("readOnlyRootFilesystem") or name == "rabbitmq", name  # its start script writes its settings


def test_each_process_has_an_account_of_its_own_without_rights(manifests):
    accounts = {name: spec.get("serviceAccountName") for name, _, spec in manifests.pods() if name in PROCESSES}

    assert accounts == {name: name for name in PROCESSES}
    assert not manifests.of("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


def test_dev_runs_the_images_of_docker_compose(dev):
    of_compose = {service["image"].replace("${KIRANA_VERSION:-dev}", "dev") for service in COMPOSE.values()}
    images = {container["image"] for _, _, spec in dev.pods() for container in spec["containers"]}

    assert images <= of_compose


def test_prod_runs_the_same_servers_by_their_operators(prod):
    image = {name: COMPOSE[name]["image"] for name in ("rabbitmq", "postgres", "redis-carts")}
    (redis,) = {each["spec"]["kubernetesConfig"]["image"] for each in prod.of("Redis").values()}
    (exporter,) = {each["spec"]["redisExporter"]["image"] for each in prod.of("Redis").values()}

    assert prod.one("RabbitmqCluster", "rabbitmq")["spec"]["image"] == image["rabbitmq"]
    assert version(prod.one("Cluster", "postgres")["spec"]["imageName"])[0] == version(image["postgres"])[0]
    assert version(redis)[:2] == version(image["redis-carts"])[:2]
    assert exporter == COMPOSE["redis-exporter"]["image"]


def test_nothing_floats_in_prod(prod):
    images = re.findall(r"^\s+(?:image|imageName): (\S+)$", prod.text, re.MULTILINE)

    assert len(images) > 8
    assert not [image for image in images if not re.search(r":v?\d", image)]


def version(image):
    return re.search(r":v?(\d+)(?:\.(\d+))?", image).groups()
