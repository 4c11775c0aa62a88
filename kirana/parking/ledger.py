"""Keeps what an operator throws away: a message that is dropped is first written where it can be read again."""

from __future__ import annotations

import base64
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from kirana.parking.message import Parked
from kirana.parking.redacted import described, plain
from kirana.stack.faults import StackFault
from shared.values.times import to_rfc3339

FILE_NAME = "dropped-messages.jsonl"


class Ledger:
    """A file of JSON lines. It holds messages as they were, secrets too: only its owner may read it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def write(self, parked: Parked, at: datetime) -> None:
        """Add a line; it is on the disk when this returns. Raises :class:`StackFault` when it is not."""
        line = json.dumps(record_of(parked, at)) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as fault:
            raise StackFault(f"Not dropped, as it cannot be kept in {self.path}: {fault.strerror}.") from None


def record_of(parked: Parked, at: datetime) -> dict[str, Any]:
    """Everything that is needed to publish the message again."""
    summary = parked.summary
    raw = parked.raw_properties
    record = {
        "dropped_at": to_rfc3339(at),
        "id": summary.id,
        "queue": parked.queue,
        "from": summary.origin,
        "parked_at": summary.parked_at,
        "reason": summary.reason,
        **plain(described({} if raw is not None else parked.properties)),
    }
    if raw is not None:
        record["properties_base64"] = base64.b64encode(raw).decode()
    try:
        return {**record, "body": parked.body.decode()}
    except UnicodeDecodeError:
        return {**record, "body_base64": base64.b64encode(parked.body).decode()}
