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
