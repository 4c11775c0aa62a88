"""The routes by which nodes look after an edge. Every table has them: none may make all edges look ill at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge.arguments import bind
from edge.checks import Checked
from edge.policies import LocalTarget, RoutePolicy
from edge.targets.declared import DECLARED

PATHS: dict[LocalTarget, str] = {
    "alive": "/health/live",
    "serving": "/health/serving",
    "ready": "/health/ready",
}


def lacking(policies: Iterable[RoutePolicy]) -> Iterator[Checked]:
    """Those that a table of these routes has not: one from before a route was known, or one written by hand."""
    targets: set[str | None] = set()
    paths: set[str] = set()
    names: set[str] = set()
    for policy in policies:
        targets.add(policy.local)
        paths.add(policy.path if policy.method == "GET" else "")
        names.add(policy.name)
    for target, path in PATHS.items():
        if target not in targets and path not in paths:
            name: str = target
            while name in names:
                name += "_"
            yield _checked(name, target, path)


def _checked(name: str, target: LocalTarget, path: str) -> Checked:
    policy = RoutePolicy(
        name=name,
        method="GET",
        path=path,
        summary="How this process is",
        tag="Edge",
        local=target,
        priority="health",
        auth="none",
        limits=None,
    )
    declared = DECLARED[target]
    return Checked(policy, None, bind(declared.request, {}, name=name), declared.answer, declared.mutating, {})
