"""nginx in its container: it has what it reads, writes into the log of all, and the command that reads it is there."""

import fnmatch
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NGINX = ROOT / "docker" / "nginx"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SPOOL = "spool:/var/spool/kirana"
DOCKERFILES = {name: (ROOT / "docker" / f"{name}.Dockerfile").read_text() for name in ("nginx", "service", "edge")}


def copied():
    """The files of the image, as ``COPY`` takes them from the folder."""
    patterns = re.findall(r"docker/nginx/(\S+)", DOCKERFILES["nginx"])
    return {path.name for path in NGINX.iterdir() if any(fnmatch.fnmatch(path.name, each) for each in patterns)}


def test_every_file_of_the_folder_is_in_the_image():
    assert copied() == {path.name for path in NGINX.iterdir()}


def test_every_file_that_the_configuration_includes_is_there_or_written_at_the_start():
    included = set(re.findall(r"include ([\w./]+);", (NGINX / "nginx.conf").read_text()))
    written = set(re.findall(r"\$folder/([\w.]+\.conf)", (NGINX / "traffic.sh").read_text()))

    assert {name for name in included if not name.startswith("/")} <= copied()
    assert {Path(name).name for name in included if name.startswith("/var/lib/traffic/")} == written


def test_nginx_writes_into_the_spool_of_all_as_their_user_and_of_the_same_environment():
    nginx, order = SERVICES["nginx"], SERVICES["order"]

    assert SPOOL in nginx["volumes"]
    assert SPOOL in order["volumes"]
    for name in ("KIRANA_LOG_SPOOL", "KIRANA_ENVIRONMENT"):
        assert nginx["environment"][name] == order["environment"][name]
    for dockerfile in DOCKERFILES.values():
        assert "\nUSER 10001\n" in dockerfile
        assert re.search(r"install -d -o 10001 .*/var/spool/kirana", dockerfile)


@pytest.mark.parametrize(
    "words", ["exec (?P<service>[a-z]+) kirana logs", "--entrypoint kirana (?P<service>[a-z]+) logs"]
)
def test_the_command_that_is_written_down_runs_where_the_log_is(words):
    found = re.search(words, (ROOT / "docs" / "debugging.md").read_text())

    service = SERVICES[found["service"]]

    assert SPOOL in service["volumes"]
    assert service["environment"]["KIRANA_LOG_SPOOL"]
