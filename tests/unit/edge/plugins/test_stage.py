"""A plugin as a stage, without an edge around it."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from edge.plugins import Headers, Plugin
from edge.plugins.opening import Plugins
from edge.plugins.stage import stage_of
from shared.contracts.refusals import Internal

pytestmark = pytest.mark.anyio


async def played(handler, proceed):
    """What the stage gives or raises, and what the log says of it."""
    request = SimpleNamespace(method="GET", path="/x", query_string="", headers=Headers(), body=b"")
    exchange = SimpleNamespace(
        request=request, matched=SimpleNamespace(policy=SimpleNamespace(name="x"), upload_limit=None),
        equipment=SimpleNamespace(collaborators=SimpleNamespace(plugins=Plugins())), request_id="r", address="a",
        variables={}, caller=None,
    )  # fmt: skip
    stage = stage_of("own", Plugin(place="around the target", make=lambda _options, _settings: handler), handler)
    with capture_logs() as logs:
        (result,) = await asyncio.gather(stage(exchange, proceed), return_exceptions=True)
    return result, [line["event"] for line in logs]


async def passing(request, proceed):
    return await proceed(request)


async def test_what_was_called_off_behind_it_is_not_its_fault():
    async def proceed(_exchange):
        raise asyncio.CancelledError

    result, logs = await played(passing, proceed)

    assert isinstance(result, asyncio.CancelledError)
    assert logs == []


async def test_a_switch_of_protocols_passes_by_it():
    switched = SimpleNamespace(status=101, headers=Headers())

    async def proceed(_exchange):
        return switched

    result, logs = await played(passing, proceed)

    assert (result, logs) == (switched, [])


@pytest.mark.parametrize("status", [0, 101, 199, 600, 999, "ok", None])
async def test_a_status_that_it_makes_up_is_its_fault(status):
    async def proceed(_exchange):
        return SimpleNamespace(status=200, headers=Headers())

    async def odd(request, proceed):
        response = await proceed(request)
        response.status = status
        return response

    result, logs = await played(odd, proceed)

    assert isinstance(result, Internal)
    assert logs == ["edge.plugin_failed"]
