from dataclasses import replace

import pytest

from edge.discovery.table import Instance, InstanceTable, read_instances


def a_node(instance_id: str, *statuses: str, address: str = "10.0.0.1") -> dict:
    return {
        "Node": {"Address": "10.9.9.9"},
        "Service": {"ID": instance_id, "Address": address, "Port": 8000, "Meta": None},
        "Checks": [{"Status": status} for status in statuses],
    }


def test_an_instance_is_as_well_as_its_worst_check():
    (instance,) = read_instances("catalog", [a_node("a", "passing", "critical", "warning")])

    assert instance.status == "critical"


def test_an_instance_without_an_address_has_its_nodes():
    (instance,) = read_instances("catalog", [a_node("a", "passing", address="")])

    assert instance == Instance("a", "catalog", "10.9.9.9", 8000)


def test_instances_stand_in_a_stable_order():
    assert [one.id for one in read_instances("catalog", [a_node("b"), a_node("a")])] == ["a", "b"]


def test_only_passing_instances_may_be_sent_to():
    table = InstanceTable()
    table.replace("catalog", read_instances("catalog", [a_node("a", "passing"), a_node("b", "warning")]))

    assert [one.id for one in table.passing("catalog")] == ["a"]
    assert [one["id"] for one in table.instances()["catalog"]] == ["a", "b"]
    assert table.passing("nobody") == ()


def described(**changes):
    node = a_node("a", "passing")
    node["Service"] |= changes
    (instance,) = read_instances("things", [node])
    return instance


@pytest.mark.parametrize(
    ("changes", "weight"),
    [
        ({}, 1),
        ({"Weights": {"Passing": 5, "Warning": 1}}, 5),
        ({"Weights": {"Passing": 5}, "Meta": {"weight": "3"}}, 3),
        ({"Meta": {"weight": "0"}}, 0),
        ({"Meta": {"weight": "many"}}, 1),
        ({"Meta": {"weight": "-1"}}, 1),
        ({"Meta": {"weight": "9999999"}}, 1000),
    ],
)
def test_an_instance_weighs_what_its_meta_or_consul_says(changes, weight):
    assert described(**changes).weight == weight


@pytest.mark.parametrize(
    ("changes", "version"),
    [({}, ""), ({"Meta": {"version": "v2"}}, "v2"), ({"Tags": ["primary", "version=canary"]}, "canary")],
)
def test_an_instance_says_its_version_in_its_meta_or_a_tag(changes, version):
    assert described(**changes).version == version


def test_what_may_be_sent_to_is_the_same_object_until_something_changes():
    table = InstanceTable()
    table.replace("things", read_instances("things", [a_node("a", "passing")]))
    before = table.passing("things")
    table.replace("things", read_instances("things", [a_node("a", "passing")]))

    assert table.passing("things") is before
    table.replace("things", read_instances("things", [a_node("a", "critical")]))
    assert table.passing("things") == ()


def test_who_warns_works_and_is_alive():
    table = InstanceTable()
    nodes = [a_node("a", "passing"), a_node("b", "warning"), a_node("c", "critical")]
    table.replace("catalog", read_instances("catalog", nodes))

    assert (table.alive("catalog"), table.proven("catalog"), table.alive("nobody")) == (2, 2, 0)


def test_who_has_never_passed_has_proven_nothing_and_who_left_is_forgotten():
    table = InstanceTable()
    old, new = Instance("a", "catalog", "127.0.0.1", 1), Instance("b", "catalog", "127.0.0.1", 2, status="critical")

    seen = []
    for instances in ((old,), (old, new), (new,), (replace(new, status="passing"),), (new,), ()):
        table.replace("catalog", instances)
        seen.append(table.proven("catalog"))

    assert seen == [1, 1, 0, 1, 1, 0]
