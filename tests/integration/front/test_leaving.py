"""Which edges ``traffic`` names to nginx: all that a name leads to, but for those that want no more requests."""

import re
import subprocess

import pytest

from tests.integration.front.nginx import PLACE

NAMES = r"""
printf 'Server:\t127.0.0.11\nAddress:\t127.0.0.11:53\n\n'
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


@pytest.fixture
def named(tmp_path):
    """Has ``traffic`` write its file at the start of an nginx that ends at once; gives what is named as blue."""
    for name, text in (("names", NAMES), ("probe", PROBE)):
        (tmp_path / name).write_text(text)

    def by(blue, **said):
        done = subprocess.run(
            ["sh", PLACE / "traffic.sh", "serve"],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "TRAFFIC_FOLDER": str(tmp_path),
                "TRAFFIC_NGINX": "true",
                "TRAFFIC_NAMES": f"sh {tmp_path}/names",
                "TRAFFIC_PROBE": f"sh {tmp_path}/probe",
                "TRAFFIC_BLUE": blue,
                "TRAFFIC_SECONDS": "0.1",
                "KIRANA_LOG_SPOOL": "",
            }
            | said,
            stdout=subprocess.DEVNULL,  # no pipe: who looks after the edges would hold it until nginx is gone
            check=False,
            timeout=60,
        )
        assert done.returncode == 0
        return re.findall(r"server (\S+(?: resolve)?) max_fails", (tmp_path / "traffic.conf").read_text())

    return by


@pytest.mark.parametrize("blue", ["edge:8000", BOTH])
@pytest.mark.parametrize(
    "said",
    [{}, {"SILENT": BOTH}, {"LEAVING": BOTH}, {"LEAVING": "10.0.0.2:80"}],
    ids=["all take them", "nobody answers", "all leave", "a port of somebody else"],
)
def test_all_are_named_as_they_were_given_while_none_or_all_want_no_more(named, blue, said):
    wanted = ["edge:8000 resolve"] if blue == "edge:8000" else BOTH.split()

    assert named(blue, **said) == wanted


@pytest.mark.parametrize("blue", ["edge:8000", BOTH])
@pytest.mark.parametrize("silent", ["", "10.0.0.1:8000"], ids=["answers", "says nothing"])
def test_one_that_leaves_is_named_no_more_whatever_the_other_says(named, blue, silent):
    """Whether who says nothing is asked is nginx's own affair: max_fails."""
    assert named(blue, LEAVING="10.0.0.2:8000", SILENT=silent) == ["10.0.0.1:8000"]


def test_a_start_names_anew_what_was_named_by_address(named):
    named("edge:8000", LEAVING="10.0.0.2:8000")

    assert named("edge:8000") == ["edge:8000 resolve"]
