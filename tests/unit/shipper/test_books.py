import orjson
import pytest

from shared.logs.holding import FOLDER, GIVEN_UP
from shipper.dead_letters import DeadLetters, Letter
from shipper.folder import prepare
from shipper.ledger import count_given_up
from shipper.places import Place, Places, load


def a_letter(name):
    return Letter(name, "logs-kirana.edge-local", "400 no", b'{"line":"%b"}' % name.encode())


def kept(folder):
    return [
        orjson.loads(line)["id"] for path in sorted(folder.glob("dead*")) for line in path.read_bytes().splitlines()
    ]


def test_what_was_committed_is_there_for_the_successor(tmp_path):
    places = Places(tmp_path / "places.json")
    places.files["birth"] = Place(at=5, lines=1)
    places.add({"delivered": 1})
    places.commit()

    found, readable, _ = load(tmp_path)

    assert readable
    assert (found.files, found.totals) == (places.files, {"delivered": 1})


def test_an_earlier_shipper_and_this_one_can_take_turns(tmp_path):
    """To that one a place with one more field is a fault, after which it sends everything again."""
    earlier = {"at": 5, "lines": 1, "given_up": False, "pending": 0}
    path = tmp_path / "places.json"
    path.write_bytes(orjson.dumps({"files": {"birth": earlier}, "totals": {}, "read": 0}))

    places, readable, _ = load(tmp_path)
    places.files["birth"].counted = 400
    places.changed = True
    places.commit()

    assert readable
    assert orjson.loads(path.read_bytes())["files"] == {"birth": earlier}
    assert load(tmp_path).places.files["birth"].counted == 400


def test_lines_under_way_from_a_file_that_was_given_up_count_as_dropped_when_the_shipper_was_killed(tmp_path):
    places = Places(tmp_path / "places.json", {"birth": Place(given_up=True, pending=3)}, changed=True)
    places.commit()

    found, _, lost = load(tmp_path)

    assert lost == 3
    assert found.totals == {"dropped": 3}
    assert found.files["birth"].pending == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files":{"a":{"no":1}},"totals":{},"read":0}'])
def test_places_that_cannot_be_read_are_told_and_everything_begins_anew(tmp_path, content):
    (tmp_path / "places.json").write_bytes(content)

    found, readable, _ = load(tmp_path)

    assert not readable
    assert (found.files, found.totals) == ({}, {})


def test_a_dead_letter_is_kept_once_however_often_its_line_is_tried(tmp_path):
    DeadLetters(tmp_path).keep([a_letter("a"), a_letter("b")])
    with (tmp_path / "dead-letters.jsonl").open("ab") as file:
        file.write(b'{"id":"half')

    DeadLetters(tmp_path).keep([a_letter("b"), a_letter("c")])

    lines = (tmp_path / "dead-letters.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["id"] for line in lines if line.endswith(b"}")] == ["a", "b", "c"]


def test_dead_letters_have_two_files_and_those_that_go_are_counted(tmp_path):
    letters = DeadLetters(tmp_path, most_bytes=50)

    gone = [letters.keep([a_letter(name)]) for name in ("a", "b", "c", "d")]

    assert gone == [0, 0, 1, 1]
    assert kept(tmp_path) == ["c", "d"]


def the_ledger_says(spool, *told):
    prepare(spool, 1)
    with (spool / FOLDER / GIVEN_UP).open("ab") as file:
        file.write(b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in told))


def test_of_a_file_that_writers_gave_up_only_lines_above_its_place_are_lost_and_each_is_counted_once(tmp_path):
    places = Places(tmp_path / "places.json", {"known": Place(at=400, lines=4)})
    the_ledger_says(tmp_path, {"birth": "known", "lines": 10}, {"birth": "unknown", "lines": 7})

    assert count_given_up(tmp_path, places, {}) == 6 + 7
    assert count_given_up(tmp_path, places, {}) == 0
    assert places.totals == {"dropped": 13}


def test_a_ledger_that_ends_in_half_a_line_is_read_on_when_it_is_whole(tmp_path):
    places = Places(tmp_path / "places.json")
    prepare(tmp_path, 1)
    ledger = tmp_path / FOLDER / GIVEN_UP
    ledger.write_bytes(b'{"birth":"a","lines":1}\n{"birth":"b",')

    first = count_given_up(tmp_path, places, {})
    ledger.write_bytes(b'{"birth":"a","lines":1}\n{"birth":"b","lines":2}\n')

    assert (first, count_given_up(tmp_path, places, {})) == (1, 2)
