from edge.rpc.consumers import Consumers


def test_a_service_never_looked_at_may_be_called():
    assert not Consumers(["catalog"]).absent("catalog")


def test_the_return_of_a_service_is_told_once():
    returned: list[str] = []
    consumers = Consumers(["catalog"], on_return=returned.append)

    for seen in (1, 0, 0, 2, 3):
        consumers.note("catalog", seen)

    assert returned == ["catalog"]
    assert consumers.count("catalog") == 3


def test_a_service_without_consumers_is_absent_and_no_other_is():
    consumers = Consumers(["catalog", "cart"])

    consumers.note("catalog", 0)

    assert consumers.absent("catalog")
    assert not consumers.absent("cart")
