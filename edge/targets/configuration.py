"""Puts another route table in force on every worker of every edge, or says all that is wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from sanic import HTTPResponse

from edge.answers import plain_json
from edge.discovery.agent import AGENT_ERRORS
from edge.exchange import Exchange
from edge.faults import BadRoutes
from edge.live.current import LiveRoutes
from edge.live.differing import differences
from edge.live.shared import Shared, SharedTable
from edge.problems import Rejected
from edge.snapshot import Snapshot, hash_of
from edge.targets.declared import Proposal
from edge.targets.rpc import arguments_of

log = structlog.get_logger()

STALE = "Another table was put in force meanwhile. Nothing was changed."
UNANSWERED = (
    "Consul did not say whether it has the table. Send it again: a table that is in force already changes nothing."
)


async def put_config(exchange: Exchange) -> HTTPResponse:
    """Check the body, then hand it to Consul, from where each worker takes it within moments. Repeating it is harmless.

    ``dry_run`` stops before Consul is asked. ``if_version`` refuses to replace any other table than that one.
    """
    wanted = arguments_of(exchange)
    live = exchange.equipment.live
    text = _text(exchange)
    proposed = await _checked(live, text)
    if not wanted.get("dry_run", False):
        await _hand_over(live, text, wanted.get("if_version"))
        log.info("edge.routes.offered", version=proposed.version.hash)
    return plain_json(msgspec.to_builtins(_proposal(exchange.snapshot, proposed, **wanted)))


def _text(exchange: Exchange) -> str:
    raw = exchange.request.body
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Rejected("request.malformed", "The body is no text in UTF-8.") from None
    if not text.strip():
        raise Rejected("request.invalid", "Send the whole table as the body.", errors=[])
    return text


async def _checked(live: LiveRoutes, text: str) -> Snapshot:
    try:
        return await live.check(text)
    except BadRoutes as bad:
        errors = [
            {"pointer": one.pointer, "detail": one.detail, "line": one.line, "route": one.route} for one in bad.faults
        ]
        detail = f"The table has {len(errors)} fault{'s'[: len(errors) != 1]}. Nothing was changed."
        raise Rejected("request.invalid", detail, errors=errors) from None


async def _hand_over(live: LiveRoutes, text: str, if_version: str | None) -> None:
    """Raises :class:`Rejected` when there is no Consul, when it is away, or when somebody else was faster."""
    if live.shared is None:
        raise Rejected("service.unavailable", "This edge has no Consul from which its workers could take a table.")
    seen = await _seen(live.shared)
    if seen.text == text:
        return
    if if_version is not None and if_version != _version_of(seen, live):
        raise Rejected("version.stale", STALE)
    await _replace(live.shared, seen, text)


async def _seen(shared: SharedTable) -> Shared:
    try:
        return await shared.read()
    except AGENT_ERRORS as fault:
        log.warning("edge.routes.not_offered", reason=type(fault).__name__)
        raise Rejected("service.unavailable", "Consul is away: the table could not be handed over.") from None


async def _replace(shared: SharedTable, seen: Shared, text: str) -> None:
    """What Consul does not answer it may have done, or do yet: nobody is told then that it did not."""
    try:
        replaced = await shared.replace(seen, text)
    except AGENT_ERRORS as fault:
        log.warning("edge.routes.offer_unanswered", reason=type(fault).__name__)
        raise Rejected("outcome.unknown", UNANSWERED) from None
    if not replaced:
        raise Rejected("version.stale", STALE)


def _version_of(seen: Shared, live: LiveRoutes) -> str:
    return live.file.version.hash if seen.text is None else hash_of(seen.text)


def _proposal(before: Snapshot, after: Snapshot, *, dry_run: bool = False, **_: Any) -> Proposal:
    return Proposal(
        version=after.version.hash,
        replaces=before.version.hash,
        dry_run=dry_run,
        differences=differences(before.table, after.table),
    )
