"""What an operator changes is checked first, written over nobody's change, and remembered to go back to."""

import msgspec
import pytest

from edge.settings import PACKAGED_ROUTES
from edge.snapshot import hash_of
from kirana.configuration import history
from kirana.configuration.documents import ROUTES_KEY, Refused, limits_of, packaged, read_limits, with_limits
from kirana.configuration.history import Author, Change, Stale
from kirana.configuration.keys import Keys, Write
from kirana.stack.faults import StackFault

ASHA, RAVI = Author("Asha", "sale"), Author("Ravi", "")


def numbered(number):
    return f"# table {number}\n{packaged()}"


def test_a_change_is_put_in_force_and_remembered_with_its_author_at_once(keys):
    done = history.put(keys, numbered(1), ASHA)

    book = history.read(keys)
    assert book.text == numbered(1)
    assert book.changes == [done]
    assert (done.number, done.by, done.reason, done.version) == (1, "Asha", "sale", hash_of(numbered(1)))


def test_a_table_with_a_fault_changes_nothing(keys):
    with pytest.raises(Refused) as refused:
        history.put(keys, packaged().replace("auth: none", "auth: maybe"), ASHA)

    assert "maybe" in "".join(refused.value.log)
    assert history.read(keys) == history.Book(None, [], [])


def test_of_two_who_change_the_same_version_the_second_is_told(keys):
    seen = history.put(keys, numbered(1), ASHA).version
    history.put(keys, numbered(2), ASHA, if_version=seen)

    with pytest.raises(Stale):
        history.put(keys, numbered(3), RAVI, if_version=seen)

    assert history.read(keys).text == numbered(2)


def test_who_writes_between_reading_and_writing_is_not_overwritten(guarded, keys):
    class Slow(Keys):
        """Somebody else is faster every time."""

        def write(self, steps):
            history.put(keys, numbered(2), RAVI)
            return super().write(steps)

    with Slow(guarded.url, guarded.token("operator")) as slow, pytest.raises(Stale):
        history.put(slow, numbered(1), ASHA)

    assert [one.by for one in history.read(keys).changes] == ["Ravi"]


def test_what_an_edges_own_door_has_written_is_kept_before_the_next_change(keys):
    history.put(keys, numbered(1), ASHA)
    assert keys.ask("PUT", f"/v1/kv/{ROUTES_KEY}", content=numbered(2).encode()).is_success
    assert not history.read(keys).is_recorded

    history.put(keys, numbered(3), ASHA)

    book = history.read(keys)
    assert [one.text for one in book.changes] == [numbered(1), numbered(2), numbered(3)]
    assert [one.by for one in book.changes] == ["Asha", "elsewhere", "Asha"]


def test_only_the_last_fifty_changes_are_kept(keys):
    old = [
        Change(number=number, at="", by="Asha", reason="", version="", packed=None)
        for number in range(1, history.MOST_KEPT + 3)
    ]
    assert keys.write([Write(f"{history.PREFIX}{one.number:08}", msgspec.json.encode(one), 0) for one in old])

    history.put(keys, numbered(1), ASHA)

    assert [one.number for one in history.read(keys).changes] == list(range(4, history.MOST_KEPT + 4))


def test_an_operator_changes_limits_looks_at_the_history_and_goes_back(guarded, keys):
    first = guarded.run("config", "seed", as_="operator")
    changed = guarded.run("config", "set", "limits", "browse=600/30", "--reason", "flash sale", as_="operator")
    told = guarded.run("config", "history", "2", as_="operator")
    back = guarded.run("config", "rollback", "1", as_="operator")

    assert [done.returncode for done in (first, changed, told, back)] == [0, 0, 0, 0], changed.stderr + back.stderr
    assert "Asha" in told.stdout
    assert "flash sale" in told.stdout
    assert "1200 → 600" in told.stdout
    assert [one.reason for one in history.read(keys).changes] == ["seeded", "flash sale", "back to 1"]
    assert "browse: {quota: 1200, window: 60}" in limits_of(history.read(keys).text)


def test_what_cannot_be_used_is_refused_with_every_fault_and_a_status_of_its_own(guarded, keys, tmp_path):
    (tmp_path / "bad.yaml").write_text(packaged().replace("auth: none", "auth: maybe"))

    done = guarded.run("config", "set", "routes", str(tmp_path / "bad.yaml"), as_="operator")

    assert done.returncode == 78
    assert "maybe" in done.stderr
    assert keys.get(ROUTES_KEY) is None


def test_a_limit_that_no_route_has_is_refused_with_those_there_are():
    with pytest.raises(Refused, match="brows") as refused:
        with_limits(packaged(), read_limits("brows=600/30"))

    assert "There are: browse" in refused.value.cause


def test_a_token_without_the_right_is_told_which_one_is_wanted(guarded):
    done = guarded.run("config", "set", "limits", "browse=600/30", as_="cart")

    assert done.returncode == 1
    assert "operator's token" in done.stderr


def test_an_absent_consul_is_no_stack_trace(tmp_path):
    with Keys("http://127.0.0.1:9") as keys, pytest.raises(StackFault, match="cannot be reached"):
        history.read(keys)


def test_the_seeds_are_the_limits_of_the_packaged_table():
    seeds = (PACKAGED_ROUTES.parents[1] / "consul" / "seeds" / "limits.yaml").read_text()

    assert read_limits(seeds) == read_limits(limits_of(packaged()))


def test_changed_limits_leave_every_other_line_of_the_table_as_it_was():
    changed = with_limits(packaged(), {"browse": {"quota": 7, "window": 60}})

    assert changed.partition("\nroutes:")[2] == packaged().partition("\nroutes:")[2]
    assert "browse: {quota: 7, window: 60}" in limits_of(changed)
