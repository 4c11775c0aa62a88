"""The images that compose and Kubernetes run: built as there but for the base, used read-only and without rights."""

import json
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from kirana import front_certificate
from kirana.stack.packages import as_root
from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.integration.front.nginx import PLACE, TOO_NEW
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


@pytest.fixture(scope="module")
def nginx_image(workshop):
    """On Debian's nginx instead of the one that compose takes."""
    return workshop.build("nginx")


def test_the_image_of_nginx_starts_by_what_chooses_the_edges_and_ends_without_losing_a_request(nginx_image):
    config = nginx_image.config

    assert (config["User"], config["Entrypoint"], config["StopSignal"]) == (USER, ["traffic", "serve"], "SIGQUIT")
    assert set(config["Volumes"]) == {"/var/lib/traffic"}
    assert not (nginx_image.root / "etc/nginx/conf.d").exists()
    assert nginx_image.run("traffic", "help")[0] == 0
    assert nginx_image.run("traffic", "show") == (1, "traffic: nothing is chosen yet. Next: traffic serve\n")


@contextmanager
def standing_in(name, leaving):
    """An edge that answers its name, and at /health/serving what is in ``leaving``; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(503 if self.path == "/health/serving" and name in leaving else 200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def lent(tmp_path):
    """A certificate, and the image's own configuration but for ports and the directive that is too new for Debian."""
    folder, port = tmp_path / "lent", free_port()
    folder.mkdir(mode=0o755)
    for name, text in front_certificate.ensure(folder).items():
        (folder / name).write_text(text)
    text = (PLACE / "nginx.conf").read_text()
    for said, here in (
        ("/run/secrets/tls_certificate;", f"/tmp/lent/{front_certificate.CERTIFICATE};"),
        ("/run/secrets/tls_key;", f"/tmp/lent/{front_certificate.KEY};"),
        ("listen 8443 ", f"listen 127.0.0.1:{port} "),
        ("127.0.0.1:8080", f"127.0.0.1:{free_port()}"),
        (TOO_NEW, ""),
    ):
        assert said in text, said
        text = text.replace(said, here)
    (folder / "nginx.conf").write_text(text)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder, port


def test_nginx_of_the_image_passes_requests_to_edges_that_want_them(nginx_image, lent, tmp_path):
    folder, port = lent
    leaving, log = set(), tmp_path / "log"
    with standing_in("one", leaving) as one, standing_in("two", leaving) as two:
        told = {
            "TRAFFIC_BLUE": f"{one} {two}",
            "TRAFFIC_SECONDS": "0.2",
            "TRAFFIC_PROBE": "wget -q -O /dev/null",  # with -T, too, Debian's BusyBox crashes
        }
        process = nginx_image.start(log, *nginx_image.config["Entrypoint"], lent=folder, **told)

        def answers():
            assert process.poll() is None, log.read_text()
            asked = [httpx.get(f"https://127.0.0.1:{port}/api/products", verify=False) for _ in range(10)]
            assert {answer.status_code for answer in asked} == {200}
            return {answer.text for answer in asked}

        found = eventually(answers, within=60, what="nginx", despite=(httpx.TransportError,))
        assert found == {"one", "two"}
        leaving.add("two")
        eventually(lambda: answers() == {"one"}, within=60, what="the other edge alone")
        leaving.clear()
        eventually(lambda: answers() == {"one", "two"}, within=60, what="both again")

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert lines[-1]["service.name"] == "nginx"
