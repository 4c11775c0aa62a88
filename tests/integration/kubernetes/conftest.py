"""What kubectl makes of kubernetes/, once for all tests here."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.builders.manifests import OVERLAYS, Manifests, copy_for_rendering, render

KUSTOMIZATIONS = {
    "dev": "overlays/dev",
    "prod": "overlays/prod",
    "prod migrations": "overlays/prod/migrations",
    "adapter": "prometheus-adapter",
}


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    return copy_for_rendering(tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(scope="session")
def rendered(copied):
    with ThreadPoolExecutor(2) as threads:
        texts = threads.map(lambda place: render(copied, place), KUSTOMIZATIONS.values())
        return {name: Manifests(text) for name, text in zip(KUSTOMIZATIONS, texts, strict=True)}


@pytest.fixture(params=OVERLAYS)
def manifests(request, rendered):
    return rendered[request.param]


@pytest.fixture
def prod(rendered):
    return rendered["prod"]


@pytest.fixture
def upgrade(rendered):
    """What is applied and waited for before a new version of the rest."""
    return rendered["prod migrations"]


@pytest.fixture
def dev(rendered):
    return rendered["dev"]
