from edge.live.differing import differences
from edge.routes import compiled
from edge.targets.declared import Change, Difference
from tests.builders.tables import a_page, a_route, table_text


def found(before, after):
    return differences(compiled(before), compiled(after))


def test_how_a_table_is_written_makes_no_difference():
    plain = table_text(a_route(deadline=5))
    spelled_out = "# a remark\n" + table_text(a_route(deadline=5.0, body_limit=16384, scopes=[]))

    assert found(plain, spelled_out) == []


def test_what_came_went_and_changed_is_named_word_by_word():
    before = table_text(a_route(), a_page("alive"))
    after = table_text(a_page("ready"), a_route(deadline=3, limits=None), rates={"browse": {"quota": 11, "window": 60}})

    assert found(before, after) == [
        Difference(place="rates/browse", kind="changed", changes=[Change(pointer="/quota", before="10", after="11")]),
        Difference(
            place="routes/get_product",
            kind="changed",
            changes=[
                Change(pointer="/limits/address", before='"browse"', after="-"),
                Change(pointer="/limits/caller", before="null", after="-"),
                Change(pointer="/deadline", before="5.0", after="3.0"),
                Change(pointer="/limits", before="-", after="null"),
            ],
        ),
        Difference(place="routes/alive", kind="removed", changes=[]),
        Difference(place="routes/ready", kind="added", changes=[]),
    ]


def test_another_order_of_the_routes_is_a_difference_because_the_first_that_fits_serves():
    pages = a_page("alive"), a_page("ready")

    assert found(table_text(*pages), table_text(*reversed(pages))) == [
        Difference(place="order", kind="changed", changes=[])
    ]


def test_what_limits_the_unrouted_is_a_word_of_the_table_itself():
    rates = {"browse": {"quota": 10, "window": 60}, "few": {"quota": 1, "window": 60}}
    before = table_text(a_page("alive"), rates=rates)
    one, other = (table_text(a_page("alive"), rates=rates, unrouted=name) for name in ("browse", "few"))

    assert found(before, one) == [Difference(place="unrouted", kind="added", changes=[])]
    assert found(one, other) == [
        Difference(place="unrouted", kind="changed", changes=[Change(pointer="", before='"browse"', after='"few"')])
    ]
