"""Every state of the table can be gone back to, also the one before the first change, and each way back is recorded."""

import json

from kirana.configuration import history
from kirana.configuration.documents import ROUTES_KEY, packaged
from kirana.configuration.history import Author

ASHA = Author("Asha", "sale")
PUSHED = f"# pushed\n{packaged()}"


def ran(guarded, *arguments):
    done = guarded.run(*arguments, as_="operator")
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def reasons(keys):
    return [one.reason for one in history.read(keys).changes]


def test_from_the_first_change_one_goes_back_to_no_table_which_is_a_change_too(guarded, keys):
    ran(guarded, "config", "set", "limits", "browse=600/30", "--reason", "flash sale")

    back = ran(guarded, "config", "rollback", "0")

    assert keys.get(ROUTES_KEY) is None
    assert reasons(keys) == ["flash sale", "back to 0"]
    assert "Change 2: version none" in back
    assert history.read(keys).is_recorded


def test_after_that_the_first_change_can_be_had_again(guarded, keys):
    first = history.put(keys, PUSHED, ASHA)
    ran(guarded, "config", "rollback", "0")

    ran(guarded, "config", "rollback", str(first.number))

    assert history.read(keys).text == PUSHED


def test_where_no_table_is_there_is_nothing_to_go_back_from(guarded, keys):
    said = ran(guarded, "config", "rollback", "0")

    assert "Nothing was changed" in said
    assert reasons(keys) == []


def test_the_history_begins_with_what_was_before_the_first_change(guarded, keys):
    history.put(keys, PUSHED, ASHA)

    shown = ran(guarded, "config", "history")
    told = json.loads(ran(guarded, "config", "history", "--json"))

    assert shown.index("sale") < shown.index("before the first change")
    assert [each["number"] for each in told] == [0, 1]
    assert "each edge served by its own file" in ran(guarded, "config", "history", "0").lower()


def test_an_unknown_number_is_told_with_those_there_are(guarded, keys):
    history.put(keys, PUSHED, ASHA)

    done = guarded.run("config", "rollback", "7", as_="operator")

    assert done.returncode == 1
    assert "There are 0, and 1 to 1." in done.stderr


def test_a_table_is_withdrawn_from_the_consul_that_was_named_and_can_be_had_again(guarded, keys):
    assert keys.ask("PUT", f"/v1/kv/{ROUTES_KEY}", content=PUSHED.encode()).is_success

    said = ran(guarded, "routes", "withdraw", "--reason", "over")

    assert keys.get(ROUTES_KEY) is None
    assert [(one.by, one.reason) for one in history.read(keys).changes] == [
        ("elsewhere", "found before the next change"),
        ("Asha", "withdrawn: over"),
    ]
    assert "kirana config rollback 1" in said
    ran(guarded, "config", "rollback", "1")
    assert history.read(keys).text == PUSHED


def test_what_is_not_there_is_not_withdrawn(guarded, keys):
    assert "nothing to take back" in ran(guarded, "routes", "withdraw")
    assert reasons(keys) == []
