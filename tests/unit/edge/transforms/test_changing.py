import copy

import pytest

from edge.transforms.changing import Clash, JsonChanger, change_fields
from edge.transforms.policy import FieldChanges, JsonChanges


def changed(document, **changes):
    return JsonChanger(JsonChanges(**changes)).change(copy.deepcopy(document))


def test_fields_are_removed_renamed_replaced_and_added():
    fields = [("A", "1"), ("b", "2"), ("B", "3"), ("c", "4"), ("d", "5")]
    changes = FieldChanges(remove=["a"], rename={"B": "X-B"}, set={"C": "new"}, add={"D": "more"})

    assert change_fields(fields, changes) == [
        ("x-b", "2"), ("x-b", "3"), ("d", "5"), ("c", "new"), ("d", "more"),
    ]  # fmt: skip


def test_members_are_dropped_wherever_the_path_leads():
    document = {"id": 1, "items": [{"cost": 2, "name": "a"}, {"name": "b"}], "owner": {"cost": 3}, "note": None}

    assert changed(document, drop=["items.cost", "owner.cost", "absent.cost", "note.cost"]) == {
        "id": 1, "items": [{"name": "a"}, {"name": "b"}], "owner": {}, "note": None,
    }  # fmt: skip


def test_a_list_of_documents_is_changed_item_by_item():
    assert changed([{"a": 1}, {"a": 2}, 3], drop=["a"], set={"b": True}) == [{"b": True}, {"b": True}, 3]


def test_in_a_list_of_lists_too_each_item_is_changed():
    document = [[{"a": 1}], [[{"a": 2, "in": [[{"a": 3}]]}, 3]], {"a": 4}]

    assert changed(document, drop=["a", "in.a"], set={"b": True}) == [
        [{"b": True}], [[{"b": True, "in": [[{}]]}, 3]], {"b": True},
    ]  # fmt: skip


def test_a_member_gets_its_new_name_where_it_stands():
    document = {"first": 1, "old": {"inner": 2}, "last": 3}

    assert list(changed(document, rename={"old": "new"})) == ["first", "new", "last"]
    assert changed(document, rename={"old.inner": "outer"}) == {"first": 1, "old": {"outer": 2}, "last": 3}


def test_members_are_moved_into_one():
    document = {"street": "s", "city": "c", "name": "n"}

    assert changed(document, nest={"address": ["street", "city", "zip"]}) == {
        "name": "n", "address": {"street": "s", "city": "c"},
    }  # fmt: skip
    assert changed({"name": "n"}, nest={"address": ["street"]}) == {"name": "n"}


def test_what_is_dropped_is_not_moved_and_what_is_renamed_is_moved_by_its_new_name():
    document = {"a": 1, "b": 2}

    assert changed(document, drop=["a"], rename={"b": "c"}, nest={"in": ["a", "b", "c"]}) == {"in": {"c": 2}}


@pytest.mark.parametrize("changes", [{"rename": {"a": "b"}}, {"nest": {"b": ["a"]}}], ids=["rename", "nest"])
def test_no_member_is_silently_overwritten(changes):
    with pytest.raises(Clash):
        changed({"a": 1, "b": 2}, **changes)


@pytest.mark.parametrize("document", [1, "a", None, True, [], [[1]]])
def test_what_is_no_object_stays_as_it_is(document):
    assert changed(document, drop=["a"], rename={"b": "c"}, set={"d": 1}) == document
