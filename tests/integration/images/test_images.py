"""The images that compose and Kubernetes run: built as there but for the base, used read-only and without rights."""

import time
import urllib.request

import pytest

from kirana.stack.packages import as_root
from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.integration.images.building import USER, Workshop

pytestmark = [pytest.mark.timeout(1200), pytest.mark.takes(100)]
MOST_BYTES = 260_000_000
"""Of ours, beside the base: about what the packages of requirements/image.txt take."""


@pytest.fixture(scope="module")
def workshop():
    assert as_root() is not None, "debootstrap and Podman need root, or sudo without a password"
    with Workshop() as place:
        yield place


@pytest.fixture(scope="module")
def images(workshop):
    """Both, one after the other: what they have in common is built once."""
    began = time.monotonic()
    built = {name: workshop.build(name) for name in ("edge", "service")}
    print(f"Both were built in {time.monotonic() - began:.0f} s")
    return built


@pytest.mark.parametrize("name", ["edge", "service"])
def test_an_image_says_who_runs_in_it_and_how_to_ask_for_its_health(images, name):
    config = images[name].config

    assert config["User"] == USER
    assert images[name].health["Test"][0] == "CMD"
    assert "/var/lib/kirana" in config["Volumes"]


@pytest.mark.parametrize("name", ["edge", "service"])
def test_an_image_holds_what_runs_and_nothing_that_installs_or_tests(images, name, workshop):
    image = images[name]
    site = next((image.root / "opt/kirana/lib").glob("python3*/site-packages"))

    assert not [each for each in ("pip", "setuptools", "pytest", "mypy", "tests") if (site / each).exists()]
    assert not (image.root / "build").exists()
    assert not [path for path in site.rglob("*secret*") if path.suffix in {".pem", ".json"}]
    base = images_of_base(workshop)
    assert image.bytes - base < MOST_BYTES


def images_of_base(workshop):
    return int(workshop.podman("image", "inspect", "--format", "{{.Size}}", "localhost/kirana-test-base"))


@pytest.mark.parametrize(
    ("name", "command", "status", "told"),
    [
        ("service", ["kirana", "--help"], 0, "kirana up"),
        ("service", ["python3", "-m", "rpc_services", "healthy"], 1, ""),
        ("service", ["python3", "-m", "rpc_services", "order"], 78, "KIRANA_AMQP_URL is required"),
        ("service", ["python3", "-m", "kirana.broker_definitions"], 78, "rabbitmq_definitions"),
        ("edge", ["python3", "-m", "edge"], 78, "KIRANA_AMQP_URL is required"),
        ("edge", ["sh", "-c", "id -u"], 0, USER),
        ("edge", ["sh", "-c", "touch /opt/kirana/x || touch /x || touch /etc/x"], 1, "Read-only file system"),
    ],
    ids=["cli", "healthy", "order", "definitions", "edge", "user", "writing"],
)
def test_its_commands_run_without_rights_on_a_root_that_nobody_can_write(images, name, command, status, told):
    ended, said = images[name].run(*command)

    assert (ended, told in said) == (status, True), said


def test_an_edge_of_the_image_lives_though_nothing_behind_it_does(images, tmp_path):
    port, log = free_port(), tmp_path / "log"
    settings = {
        "KIRANA_AMQP_URL": "amqp://nobody@127.0.0.1:1/kirana",
        "KIRANA_REDIS_EDGE": "redis://127.0.0.1:1/0",
        "KIRANA_CURSOR_SECRET": "only for this test",
        "KIRANA_EDGE_PORT": str(port),
        "KIRANA_EDGE_WORKERS": "1",
    }

    process = images["edge"].start(log, *images["edge"].config["Cmd"], **settings)

    def lives():
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5) as answer:
            return answer.status == 200

    assert eventually(lives, within=60, what="a living edge", despite=(OSError,))
