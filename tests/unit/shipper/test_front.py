import os
from pathlib import Path

import orjson
import pytest
import yaml

from shared.logs.holding import FOLDER
from shipper.folder import Folder
from shipper.front import FAULTS, OTHER, ROUTES, answered
from shipper.metering import Meters
from shipper.places import Places, load
from shipper.tail import CHUNK, Tail
from tests.builders.nginx_lines import a_front_line

TABLE = yaml.safe_load((Path(__file__).parents[3] / "edge" / "routes.yaml").read_text())["routes"]
BY_NAME = {route["name"]: route for route in TABLE}


@pytest.fixture
def spool_file(tmp_path):
    return tmp_path / "nginx.jsonl"


@pytest.fixture
def places(tmp_path):
    (tmp_path / FOLDER).mkdir()
    return Places(tmp_path / FOLDER / "places.json")


def followed(path, places):
    return Tail(os.open(path, os.O_RDONLY), "birth", places)


def counted(path, places, *lines):
    """By route and status, of one file with these lines."""
    path.write_bytes(b"".join(lines))
    return {(*each,): number for each, number in answered(followed(path, places)).items()}


def told(meters, route="place_order", status="504"):
    """What the shipper says of them."""
    begin = f'kirana_front_answered_total{{route="{route}",status="{status}"}} '
    (line,) = [line for line in "".join(meters.rendered()).splitlines() if line.startswith(begin)]
    return float(line.removeprefix(begin))


def looking(spool, places):
    """A shipper that sends nothing: Elasticsearch is away."""
    meters = Meters()
    return meters, Folder(spool, places, meters, disk_bytes=1_000)


def test_what_nginx_writes_is_a_line_like_any_other_and_says_what_is_counted(spool_file, places):
    line = a_front_line(request_method="GET", status=503, path="/api/products/5")

    assert orjson.loads(line)["event"]["action"] == "front.answered"
    assert counted(spool_file, places, line) == {(OTHER, "503"): 1}


@pytest.mark.parametrize("name", sorted({*ROUTES} - {OTHER}))
def test_what_has_an_objective_of_its_own_is_known_by_method_and_path_as_the_edge_knows_it(spool_file, places, name):
    method, path = BY_NAME[name]["method"], BY_NAME[name]["path"]

    asks = a_front_line(request_method=method, path=path)
    looks = a_front_line(request_method="GET", path=path)

    assert counted(spool_file, places, asks, looks) == {(name, "504"): 1, (OTHER, "504"): 1}


def test_looks_at_health_and_lines_of_others_are_not_counted(spool_file, places):
    look = a_front_line(request_method="GET", status=503, path="/health/serving")

    assert counted(spool_file, places, look, b'{"message":"another"}\n', a_front_line(status=404)) == {
        ("place_order", "404"): 1
    }


def test_a_client_cannot_write_what_another_is_counted_by(spool_file, places):
    says = r"/\"method\":\"POST\"},\"response\":{\"status_code\":500}},\"url\":{\"path\":\"/api/orders"

    assert counted(spool_file, places, a_front_line(status=404, path=says)) == {("other", "404"): 1}


@pytest.mark.parametrize("first", [b'{"message":"brought back"}\n', b""], ids=["among others", "no line yet"])
def test_nothing_is_counted_in_a_file_that_is_not_nginxs(spool_file, places, first):
    lines = [first, a_front_line()] if first else []

    assert counted(spool_file, places, *lines) == {}


def test_a_line_counts_once_when_it_is_whole(spool_file, places):
    line = a_front_line()
    spool_file.write_bytes(line + line[:50])
    tail = followed(spool_file, places)

    first = answered(tail).total()
    again = answered(tail).total()
    spool_file.write_bytes(line + line)

    assert (first, again, answered(tail).total()) == (1, 0, 1)


def test_a_file_larger_than_what_is_read_at_once_is_counted_to_its_end(spool_file, places):
    line = a_front_line()
    number = CHUNK // len(line) + 100

    assert counted(spool_file, places, line * number) == {("place_order", "504"): number}


def test_they_are_counted_while_nothing_is_shipped_and_each_once_through_a_restart(spool_file, places, tmp_path):
    spool_file.write_bytes(a_front_line())
    meters, folder = looking(tmp_path, places)
    folder.look()
    spool_file.rename(tmp_path / "nginx.1.jsonl")
    spool_file.write_bytes(a_front_line(pid=8) * 2)
    folder.look()
    places.commit()

    successor, later = looking(tmp_path, load(tmp_path / FOLDER).places)
    later.look()
    with spool_file.open("ab") as file:
        file.write(a_front_line())
    later.look()

    assert (told(meters), told(successor)) == (3, 1)


def test_what_is_dropped_from_shipping_has_been_counted(places, tmp_path):
    meters, folder = looking(tmp_path, places)
    (tmp_path / "nginx.1.jsonl").write_bytes(a_front_line() * 100)

    folder.look()
    folder.look()

    assert places.totals["dropped"] == 100
    assert told(meters) == 100


def test_every_fault_of_ours_is_told_from_the_start_so_that_an_alarm_sees_the_first():
    meters = Meters()

    assert {told(meters, route, status) for route in ROUTES for status in FAULTS} == {0}
