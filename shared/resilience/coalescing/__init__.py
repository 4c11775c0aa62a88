"""Coalescing makes a crowd cheap: what gathers while a batch is away leaves together in the next, without timers."""

from shared.resilience.coalescing.machine import Coalescing
from shared.resilience.coalescing.outcomes import Closed, Expired, NeverLeft, Overloaded, Unanswered
from shared.resilience.coalescing.sending import Sending
from shared.resilience.coalescing.travellers import Batch, CoalescingPolicy, Effects, Errand, Told, Waiter

__all__ = [
    "Batch",
    "Closed",
    "Coalescing",
    "CoalescingPolicy",
    "Effects",
    "Errand",
    "Expired",
    "NeverLeft",
    "Overloaded",
    "Sending",
    "Told",
    "Unanswered",
    "Waiter",
]
