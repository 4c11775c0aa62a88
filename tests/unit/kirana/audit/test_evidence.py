import pytest

from kirana.audit import evidence
from kirana.audit.evidence import Acknowledged, BadHistory, gather, read_acknowledged
from kirana.mail_sink import Mailbox
from shared.contracts.catalog import StockAudit
from shared.contracts.notification import DeliveriesAudit
from shared.contracts.order import AuditedOrder, OrdersAudit


class FakeCalls:
    """Services with five orders, in pages."""

    ids = tuple(f"order-{number}" for number in range(5))

    def call(self, method, request, *, timeout):
        assert timeout > 0
        if method.name == "audit_deliveries":
            return DeliveriesAudit(confirmations={order_id: ["sent"] for order_id in request.order_ids})
        page = [order_id for order_id in self.ids if order_id > request.after_order_id][: request.limit]
        if method.name == "audit_orders":
            return OrdersAudit(
                orders=[self.order(order_id) for order_id in page], duplicates=[], oldest_outbox_seconds=3.0
            )
        states = dict.fromkeys(page, "sold")
        return StockAudit(products=1, violations=[], reservations=states, units_sold=5, oldest_outbox_seconds=4.0)

    def order(self, order_id):
        return AuditedOrder(
            id=order_id, number="N", user_id="u", status="confirmed", units=1, operation_id=None, age_seconds=1.0
        )


@pytest.mark.parametrize("page", [1, 2, 5, 100])
def test_every_page_is_read_once(monkeypatch, tmp_path, page):
    monkeypatch.setattr(evidence, "PAGE", page)

    found = gather(FakeCalls(), Mailbox(tmp_path), None)

    assert [item.id for item in found.orders] == list(FakeCalls.ids)
    assert list(found.reservations) == list(FakeCalls.ids)
    assert set(found.confirmations) == set(FakeCalls.ids)
    assert found.outboxes == {"order": 3.0, "catalog": 4.0}


def test_only_acknowledged_lines_of_a_history_count(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"key": "a", "order_id": "1", "ms": 3}\n\n{"key": "b", "status": 504}\n{"order_id": "2"}\n')

    assert read_acknowledged(path) == [Acknowledged("a", "1"), Acknowledged("line 4", "2")]


@pytest.mark.parametrize("text", ["not json", "[1]", '"word"'])
def test_what_is_no_history_is_refused(tmp_path, text):
    path = tmp_path / "history.jsonl"
    path.write_text(text)

    with pytest.raises(BadHistory):
        read_acknowledged(path)


def test_a_missing_history_is_refused(tmp_path):
    with pytest.raises(BadHistory):
        read_acknowledged(tmp_path / "nowhere.jsonl")
