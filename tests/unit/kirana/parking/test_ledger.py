import json
import stat
from datetime import UTC, datetime

import pytest

from kirana.parking.frames import UNREADABLE
from kirana.parking.ledger import Ledger
from kirana.parking.message import Parked
from kirana.stack.faults import StackFault
from shared.contracts import parked as names

AT = datetime(2026, 1, 1, tzinfo=UTC)


def lines(ledger):
    return [json.loads(line) for line in ledger.path.read_text().splitlines()]


def test_a_dropped_message_can_be_read_as_it_was(tmp_path):
    ledger = Ledger(tmp_path / "home")
    properties = {"message_id": "m", "application_headers": {names.FROM: "rpc-order", "x": [1, b"\xff"]}}

    ledger.write(Parked("order", b'{"password": "hush"}', properties, "parking.order.calls"), AT)
    ledger.write(Parked("order", b"\xff"), AT)

    first, second = lines(ledger)
    assert first["body"] == '{"password": "hush"}'
    assert (first["queue"], first["from"], first["message_id"]) == ("parking.order.calls", "rpc-order", "m")
    assert first["headers"] == {names.FROM: "rpc-order", "x": [1, "base64:/w=="]}
    assert second["body_base64"] == "/w=="


def test_only_its_owner_can_read_it(tmp_path):
    ledger = Ledger(tmp_path / "home")

    ledger.write(Parked("order", b""), AT)

    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


def test_unreadable_properties_are_kept_as_bytes(tmp_path):
    ledger = Ledger(tmp_path)

    ledger.write(Parked("order", b"", {"application_headers": {UNREADABLE: "gAAC//4="}}), AT)

    assert lines(ledger)[0]["properties_base64"] == "gAAC//4="
    assert lines(ledger)[0]["headers"] == {}


def test_what_cannot_be_kept_is_said_so_and_not_dropped(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StackFault, match="Not dropped"):
        Ledger(tmp_path / "file").write(Parked("order", b""), AT)
