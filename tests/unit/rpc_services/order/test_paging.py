from base64 import urlsafe_b64encode

import pytest

from rpc_services.order.paging import read_cursor, write_cursor
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import new_id


def test_a_cursor_leads_back_to_where_it_was_written():
    order_id = new_id()

    assert read_cursor(write_cursor(order_id)) == order_id


def test_no_cursor_is_the_beginning():
    assert read_cursor(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "%%%",
        "a",
        "äöü",
        urlsafe_b64encode(b"[]").decode(),
        urlsafe_b64encode(b'{"before": 1}').decode(),
        urlsafe_b64encode(b'{"before": "x"}').decode(),
        urlsafe_b64encode(b'{"before": "\\u0000"}').decode(),
        urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_anything_else_is_refused_by_name(cursor):
    with pytest.raises(InvalidRequest) as refusal:
        read_cursor(cursor)

    assert [fault["pointer"] for fault in refusal.value.details["errors"]] == ["/cursor"]
