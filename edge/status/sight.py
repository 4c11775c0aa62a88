"""What only the page for people asks for, besides what the stages and targets work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge.metrics.traffic import Traffic
from edge.reception import Reception
from edge.status.history import History

if TYPE_CHECKING:
    from edge.discovery.table import InstanceTable
    from edge.rpc.lane import Lane


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One per worker. ``table`` is ``None`` where there is no Consul."""

    history: History = field(default_factory=History)
    traffic: Traffic = field(default_factory=Traffic)
    table: InstanceTable | None = None
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    reception: Reception = field(default_factory=Reception)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
