"""Which edges ``traffic`` names to nginx: all that a name leads to, but for those that want no more requests."""

import re
import subprocess
from contextlib import suppress

import pytest

from tests.builders.waiting import eventually
from tests.integration.front.nginx import PLACE

NAMES = r"""
echo >>"$0.asked"
printf 'Server:\t127.0.0.11\nAddress:\t127.0.0.11:53\n\n'
if [ -e "$0.away" ]; then exit 1; fi
printf 'Name:\t%s\nAddress: %s\n' "$1" 10.0.0.1 "$1" 10.0.0.2
"""
"""Answers as BusyBox's nslookup does."""

PROBE = r"""
told() {
    echo "wget: $1" >&2
    exit 1
}
for each in $LEAVING; do
    case $1 in http://"$each"/health/serving) told "server returned error: HTTP/1.1 503 Service Unavailable" ;; esac
done
for each in $SILENT; do
    case $1 in http://"$each"/*) told "can't connect to remote host: Connection refused" ;; esac
done
"""
BOTH = "10.0.0.1:8000 10.0.0.2:8000"
NGINX = """
case $1 in
    -g) exec sleep 60 ;;
esac
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in (("names", NAMES), ("probe", PROBE), ("nginx", NGINX)):
        (tmp_path / name).write_text(text)
    return tmp_path


def environment(folder, blue, **said):
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "TRAFFIC_FOLDER": str(folder),
        "TRAFFIC_NGINX": "true",
        "TRAFFIC_NAMES": f"sh {folder}/names",
        "TRAFFIC_PROBE": f"sh {folder}/probe",
        "TRAFFIC_BLUE": blue,
        "TRAFFIC_SECONDS": "0.1",
        "KIRANA_LOG_SPOOL": "",
    } | said


def in_file(folder):
    """Who is named, in order; nothing while the file is being replaced."""
    with suppress(FileNotFoundError):
        return re.findall(r"server (\S+(?: resolve)?) max_fails", (folder / "traffic.conf").read_text())
    return []


@pytest.fixture
def named(folder):
    """Has ``traffic`` write its file at the start of an nginx that ends at once; gives what is named as blue."""

    def by(blue, **said):
        done = subprocess.run(
            ["sh", PLACE / "traffic.sh", "serve"],
            env=environment(folder, blue, **said),
            stdout=subprocess.DEVNULL,  # no pipe: who looks after the edges would hold it until nginx is gone
            check=False,
            timeout=60,
        )
        assert done.returncode == 0
        return in_file(folder)

    return by


@pytest.mark.parametrize("blue", ["edge:8000", BOTH])
@pytest.mark.parametrize(
    "said",
    [{}, {"SILENT": BOTH}, {"LEAVING": BOTH}, {"LEAVING": "10.0.0.2:80"}],
    ids=["all take them", "nobody answers", "all leave", "a port of somebody else"],
)
def test_all_are_named_while_none_or_all_want_no_more(named, blue, said):
    assert named(blue, **said) == BOTH.split()


@pytest.mark.parametrize("blue", ["edge:8000", BOTH])
@pytest.mark.parametrize("silent", ["", "10.0.0.1:8000"], ids=["answers", "says nothing"])
def test_one_that_leaves_is_named_no_more_whatever_the_other_says(named, blue, silent):
    """Whether who says nothing is asked is nginx's own affair: max_fails."""
    assert named(blue, LEAVING="10.0.0.2:8000", SILENT=silent) == ["10.0.0.1:8000"]


def test_one_that_left_and_then_says_nothing_is_not_named_until_it_takes_requests_again(named):
    """Its port closes before its name is gone."""
    assert named("edge:8000", LEAVING="10.0.0.2:8000") == ["10.0.0.1:8000"]
    assert named("edge:8000", SILENT="10.0.0.2:8000") == ["10.0.0.1:8000"]
    assert named("edge:8000") == BOTH.split()


def test_one_that_is_named_and_says_nothing_keeps_its_place(named):
    named("edge:8000")

    assert named("edge:8000", SILENT="10.0.0.2:8000") == BOTH.split()


def test_a_name_that_leads_nowhere_yet_is_left_to_nginx(folder, named):
    (folder / "names.away").touch()

    assert named("edge:8000") == ["edge:8000 resolve"]


def test_while_a_name_leads_nowhere_those_who_are_named_stay(folder):
    """And nginx is given no name to look for, as it has nobody to ask until it has found one."""
    told = environment(folder, "edge:8000", TRAFFIC_NGINX=f"sh {folder}/nginx", LEAVING="10.0.0.2:8000")
    with subprocess.Popen(["sh", PLACE / "traffic.sh", "serve"], env=told, stdout=subprocess.DEVNULL) as serving:
        try:
            eventually(lambda: in_file(folder) == ["10.0.0.1:8000"], what="the one that takes requests")
            (folder / "names.away").touch()
            asked = (folder / "names.asked").stat().st_size
            eventually(lambda: (folder / "names.asked").stat().st_size >= asked + 4, what="looks in vain")
            assert in_file(folder) == ["10.0.0.1:8000"]
        finally:
            serving.kill()
