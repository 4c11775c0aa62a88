from datetime import UTC, datetime

from kirana.parking.ledger import Ledger
from kirana.parking.lot import NotTaken
from kirana.parking.message import Parked
from kirana.parking.moving import drop, look, replay
from shared.contracts import parked as names

QUEUE = "evt-order-order.placed--order.on_order_placed"


def clock():
    return datetime(2026, 1, 1, tzinfo=UTC)


class FakeLot:
    """Parked messages in memory, and what was delivered."""

    def __init__(self, *parked, takes=True):
        self.parked, self.delivered, self.takes = list(parked), [], takes

    def visit(self, service, deal_with):
        self.parked = [each for each in self.parked if each.service != service or not deal_with(each)]

    def deliver(self, message, queue):
        if not self.takes:
            raise NotTaken("its queue is gone")
        self.delivered.append((queue, message.body))


def event(body, service="order", origin=QUEUE):
    return Parked(service, body, {"application_headers": {names.FROM: origin}})


def test_looking_leaves_everything_where_it_is():
    lot = FakeLot(event(b"1"), event(b"2", service="cart"))

    assert [each.size for each in look(lot, ["order", "cart"])] == [1, 1]
    assert len(lot.parked) == 2


def test_only_what_was_chosen_is_replayed_and_only_to_its_own_queue():
    lot = FakeLot(event(b"1"), event(b"2"))

    moved = replay(lot, look(lot, ["order"])[:1], clock, lambda _: None)

    assert moved.is_whole
    assert lot.delivered == [(QUEUE, b"1")]
    assert [each.body for each in lot.parked] == [b"2"]


def test_what_no_queue_takes_stays_parked_with_the_reason():
    lot = FakeLot(event(b"1"), takes=False)

    moved = replay(lot, look(lot, ["order"]), clock, lambda _: None)

    assert not moved.is_whole
    assert [reason for _, reason in moved.stayed] == ["its queue is gone"]
    assert len(lot.parked) == 1


def test_a_call_stays_parked_and_is_not_sent():
    lot = FakeLot(event(b"1", origin="rpc-order"))

    moved = replay(lot, look(lot, ["order"]), clock, lambda _: None)

    assert not moved.is_whole
    assert (len(lot.parked), lot.delivered) == (1, [])


def test_what_somebody_else_took_meanwhile_is_said_to_be_gone():
    lot = FakeLot(event(b"1"), event(b"2"))
    chosen = look(lot, ["order"])
    lot.parked.pop()

    moved = replay(lot, chosen, clock, lambda _: None)

    assert [each.id for each in moved.gone] == [chosen[1].id]
    assert not moved.is_whole


def test_what_is_dropped_is_written_down_first(tmp_path):
    lot = FakeLot(event(b"1"), event(b"2"))
    ledger = Ledger(tmp_path)

    moved = drop(lot, look(lot, ["order"])[1:], ledger, clock, lambda _: None)

    assert moved.is_whole
    assert [each.body for each in lot.parked] == [b"1"]
    assert '"body": "2"' in ledger.path.read_text()
