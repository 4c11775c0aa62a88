"""Takes kept answers away on an administrator's word, from every worker of every edge."""

from __future__ import annotations

import structlog
from sanic import HTTPResponse

from edge.answers import plain_json
from edge.cache.plan import EVERYTHING, path_tag
from edge.exchange import Exchange
from edge.targets.rpc import arguments_of
from shared.contracts.refusals import InvalidRequest

log = structlog.get_logger()


async def purge_cache(exchange: Exchange) -> HTTPResponse:
    """Purge one tag, one path (with every query of it) or everything. Repeating it is harmless.

    The answer says that every worker was told; 503 that only this one was.
    """
    tag = _tag(**arguments_of(exchange))
    await exchange.equipment.collaborators.cache.purge_everywhere({tag})
    log.info("edge.cache.purged", tag=tag)
    return plain_json({"tag": tag})


def _tag(tag: str | None = None, path: str | None = None, *, everything: bool = False) -> str:
    if [tag is not None, path is not None, everything].count(True) != 1:
        detail = "Name exactly one of 'tag', 'path' and 'everything': true."
        raise InvalidRequest(errors=[{"pointer": "", "detail": detail}])
    return EVERYTHING if everything else tag or path_tag(path or "")
