"""What comes out of ``kubernetes/`` for a cluster, and questions to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kirana.container_secrets import write

ROOT = Path(__file__).parents[2]
OVERLAYS = ("dev", "prod")
SECRETS = Path("kubernetes", "overlays", "dev", "secrets")
PROCESSES = ("edge", "identity", "catalog", "cart", "order", "notification")
WITH_PODS = ("Deployment", "StatefulSet", "Job")


def copy_for_rendering(place: Path) -> Path:
    """A copy of all that is rendered, with secrets of its own; gives its root."""
    for folder in ("kubernetes", "docker", "consul", "rabbitmq"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("secrets"))
    write(place / SECRETS)
    return place


def render(root: Path, kustomization: str) -> str:
    """The text that ``kubectl apply -k`` would send. Raises ``AssertionError`` with kubectl's own words."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(root / "kubernetes" / kustomization)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{done.stderr}\nKustomize 5 is needed, as kubectl has it from 1.27 on."
    return done.stdout


class Manifests:
    """The resources of one rendered kustomization."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all: list[dict[str, Any]] = [each for each in yaml.safe_load_all(text) if each]

    def of(self, *kinds: str) -> dict[str, dict[str, Any]]:
        """Those of these kinds, by name."""
        return {each["metadata"]["name"]: each for each in self.all if each["kind"] in kinds}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The one of that name; generated ones are known by what comes before their digest."""
        found = [each for own, each in self.of(kind).items() if own == name or own.rpartition("-")[0] == name]
        assert len(found) == 1, f"{kind} {name}: {len(found)} found"
        return found[0]

    def pods(self) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
        """Name, labels and specification of every pod that is described here and not left to an operator."""
        for name, each in self.of(*WITH_PODS).items():
            template = each["spec"]["template"]
            yield name, template["metadata"]["labels"], template["spec"]

    def pod(self, name: str) -> dict[str, Any]:
        """The specification of that pod."""
        return next(spec for own, _, spec in self.pods() if own == name)

    def environment(self, name: str, *, beside: str = "") -> dict[str, str]:
        """What the process of that name, or the one beside it, is told, with the ConfigMaps it takes whole."""
        spec = self.pod(name)
        (container,) = [each for each in spec.get("initContainers", ()) if each["name"] == beside] or spec["containers"]
        told: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            told |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return told | {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}

    def files(self, name: str, *, beside: str = "") -> dict[str, str]:
        """The files that secrets put before that process, or the one beside it: path to ``secret/key``."""
        spec = self.pod(name)
        (container,) = [each for each in spec.get("initContainers", ()) if each["name"] == beside] or spec["containers"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        found: dict[str, str] = {}
        for volume in spec.get("volumes", ()):
            if "secret" in volume and volume["name"] in mounted:
                secret, place = volume["secret"], mounted[volume["name"]]
                keys = self.secret_keys(secret["secretName"])
                items = secret.get("items") or [{"key": key, "path": key} for key in keys]
                assert {item["key"] for item in items} <= keys
                found |= {f"{place}/{item['path']}": f"{secret['secretName']}/{item['key']}" for item in items}
        return found

    def secret_keys(self, name: str) -> set[str]:
        """The keys of a secret, whether it is made here or brought from outside. Fails when nobody declares it."""
        if name in self.of("Secret"):
            return set(self.of("Secret")[name]["data"])
        target = self.one("ExternalSecret", name)["spec"]
        assert target["target"]["name"] == name
        if "template" in target["target"]:
            return set(target["target"]["template"]["data"])
        return {each["secretKey"] for each in target["data"]}
