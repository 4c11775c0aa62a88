"""Who is let in by this worker and who is not, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.admission.door import Admission


class AdmissionState(Collector):
    """The limits of one worker, as they stand."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        limits = self._admission.state().items()
        yield counted(families.ADMISSION_LIMIT, *(Seen((upstream,), each["limit"]) for upstream, each in limits))
        yield counted(families.ADMITTED, *(Seen((upstream,), each["in_flight"]) for upstream, each in limits))
        shed = [
            Seen((upstream, priority), count) for upstream, each in limits for priority, count in each["shed"].items()
        ]
        yield counted(families.SHED, *shed)
        yield counted(families.LOOP_LAG, Seen((), self._admission.lag))
