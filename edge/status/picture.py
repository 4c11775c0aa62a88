"""What one worker tells of itself for the page: figures and states, never an address, a credential or a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.metrics.teller import worker_name

if TYPE_CHECKING:
    from edge.collaborators import Collaborators
    from edge.live.current import LiveRoutes
    from edge.rpc.lane import Lane

MOST_FAULTS = 10
LONGEST_FAULT = 200


def picture(collaborators: Collaborators, live: LiveRoutes) -> dict[str, Any]:
    """Everything as plain JSON, read where it is kept anyway; nobody is asked and nothing waits."""
    sight = collaborators.sight
    return {
        "instance": collaborators.settings.instance,
        "worker": worker_name(),
        "since": sight.since.isoformat(timespec="seconds"),
        "requests": sight.history.requests,
        "connections": sight.reception.open_connections,
        "ready": collaborators.health.ready(),
        "lag_ms": round(1000 * max(0.0, collaborators.admission.lag), 1),
        "dependencies": collaborators.health.dependencies(),
        "services": _services(collaborators),
        "admission": collaborators.admission.state(),
        "upstreams": {
            each.name: {**each.figures(), "retries": each.retries} for each in collaborators.upstreams.services()
        },
        "ways": {way.route: way.breaker_state.value for way in collaborators.upstreams.ways()},
        "cache": _cache(collaborators),
        "limits": {
            "is_local": collaborators.limiter.is_local,
            "checks": dict(collaborators.limiter.counts),
            "refused": dict(collaborators.limiter.refused),
        },
        "routes": _routes(live),
        "instances": _instances(collaborators),
        "history": sight.history.told(),
    }


def _services(collaborators: Collaborators) -> dict[str, dict[str, Any]]:
    lanes = collaborators.sight.lanes
    return {
        service: {**state, "lane": _lane(lanes[service]) if service in lanes else None}
        for service, state in collaborators.health.services().items()
    }


def _lane(lane: Lane) -> dict[str, Any]:
    """``batches`` has how often a frame held so many calls."""
    machine = lane.coalescer.machine
    return {
        "in_flight": machine.in_flight,
        "waiting": machine.waiting,
        "shared": machine.counts["shared"],
        "batches": {str(size): times for size, times in machine.batch_sizes.items()},
    }


def _cache(collaborators: Collaborators) -> dict[str, Any]:
    cache = collaborators.cache
    tallies = cache.tallies.values()
    outcomes = ("hit", "stale", "miss", "collapsed", "bypass")
    return {
        **{outcome: sum(getattr(tally, outcome) for tally in tallies) for outcome in outcomes},
        "entries": len(cache.local),
        "bytes": cache.local.bytes,
        "room": collaborators.settings.cache_bytes,
        "evictions": cache.local.evictions,
        "purges": sum(cache.purges.values()),
        "shared_failures": cache.shared.counts["failures"],
    }


def _routes(live: LiveRoutes) -> dict[str, Any]:
    """As the administrator sees it, but no more faults than a page can show."""
    state = {**live.state(), "count": len(live.snapshot.table.routes)}
    if (refused := state["refused"]) is not None:
        faults = refused["faults"]
        shown = [fault[:LONGEST_FAULT] for fault in faults[:MOST_FAULTS]]
        state["refused"] = {**refused, "faults": shown, "more": len(faults) - len(shown)}
    return state


def _instances(collaborators: Collaborators) -> list[dict[str, str]] | None:
    """Who Consul knows, without where they are; ``None`` without Consul."""
    table = collaborators.sight.table
    if table is None:
        return None
    return [
        {"service": one.service, "id": one.id, "status": one.status, "version": one.version}
        for one in table.everybody()
    ]
