from kirana.logbook.spans import Trouble, tree_of, walk
from tests.builders.log_lines import a_line, handled, ran, served, without_spans


def shape(roots):
    return [(span.name, shape(span.children)) for span in roots]


def in_order(lines):
    return sorted(lines, key=lambda line: line["@timestamp"])


def an_order():
    return in_order(
        [
            served(2.0, 201, took=1.0),
            ran(1.9, "order.place_order", took=0.8),
            ran(1.4, "catalog.reserve_stock", took=0.2, parent="order.place_order"),
            ran(1.8, "cart.subtract_items", took=0.2, parent="order.place_order"),
        ]
    )


AN_ORDER = [
    (
        "POST /api/orders",
        [("order.place_order", [("catalog.reserve_stock", []), ("cart.subtract_items", [])])],
    )
]


def test_calls_hang_under_who_asked_for_them_in_the_order_in_which_they_began():
    assert shape(tree_of(an_order())) == AN_ORDER


def test_lines_without_spans_are_placed_by_who_was_at_work_meanwhile():
    assert shape(tree_of(without_spans(an_order()))) == AN_ORDER


def test_an_event_hangs_under_the_run_that_wrote_it_after_the_calls():
    event = handled(1.85, "order.placed", parent="order.place_order")

    (root,) = tree_of(in_order([*an_order(), event]))

    assert [child.name for child in root.children[0].children][-1] == "event order.placed"


def test_a_call_that_nobody_answered_has_a_place_of_its_own():
    given_up = a_line(
        5.0, "rpc.not_answered", where="edge-1", span="e", labels={"method": "cart.get_cart", "reason": "no answer"}
    )

    (root,) = tree_of([given_up, served(5.1, 503, took=5.0)])

    (call,) = root.children
    assert (call.name, call.where, call.given_up, call.trouble) == (
        "cart.get_cart",
        "cart",
        "no answer",
        Trouble.FAILED,
    )


def test_a_run_that_ended_after_its_caller_gave_up_says_so():
    given_up = a_line(
        5.0, "rpc.not_answered", where="edge-1", span="e", labels={"method": "cart.get_cart", "reason": "no answer"}
    )

    (root,) = tree_of([given_up, served(5.1, 503, took=5.0), ran(7.0, "cart.get_cart", took=6.0)])

    (call,) = root.children
    assert (call.given_up, call.trouble, len(root.children)) == ("no answer", Trouble.FAILED, 1)


def test_work_whose_last_line_is_missing_is_not_taken_for_done():
    (root,) = tree_of([a_line(1.2, "order.resumed", span="o", parent="e"), served(2.0, 504, took=1.0)])

    (killed,) = root.children
    assert killed.is_unfinished
    assert killed.trouble is Trouble.FAILED


def test_what_the_clock_does_has_no_last_line_and_is_no_trouble():
    roots = tree_of([a_line(3.0, "delivery.sent", where="notification-1", span="t")])

    assert [root.trouble for root in roots] == [Trouble.NONE]


def test_no_line_is_lost_or_told_twice():
    lines = in_order(
        [*an_order(), a_line(1.5, "something.odd", where="shipper-1"), a_line(1.6, "edge.odd", where="edge-1")]
    )

    placed = [line for span in walk(tree_of(lines)) for line in span.lines]

    assert sorted(map(id, placed)) == sorted(map(id, lines))


def test_a_rules_no_is_no_failure_but_a_silence_is():
    (root,) = tree_of(
        in_order(
            [
                served(2.0, 409, labels={"code": "catalog.out_of_stock"}),
                ran(1.5, "catalog.reserve_stock", code="catalog.out_of_stock"),
                ran(1.9, "cart.get_cart", code="service.unavailable"),
            ]
        )
    )

    assert root.trouble is Trouble.REFUSED
    assert [child.trouble for child in root.children] == [Trouble.REFUSED, Trouble.FAILED]
