"""A plugin as a stage, without an edge around it."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from edge.plugins import Headers, Plugin
from edge.plugins.opening import Plugins
from edge.plugins.stage import stage_of
from edge.upstreams.delivery import Delivered
from shared.contracts.refusals import Internal

pytestmark = pytest.mark.anyio


def a_stage(handler, proceed=None):
    """One request's way through the stage, not begun yet."""
    request = SimpleNamespace(method="GET", path="/x", query_string="", headers=Headers(), body=b"")
    exchange = SimpleNamespace(
        request=request, matched=SimpleNamespace(policy=SimpleNamespace(name="x"), upload_limit=None),
        equipment=SimpleNamespace(collaborators=SimpleNamespace(plugins=Plugins())), request_id="r", address="a",
        variables={}, caller=None,
    )  # fmt: skip
    stage = stage_of("own", Plugin(place="around the target", make=lambda _options, _settings: handler), handler)
    return stage(exchange, proceed)


async def played(handler, proceed):
    """What the stage gives or raises, and what the log says of it."""
    with capture_logs() as logs:
        (result,) = await asyncio.gather(a_stage(handler, proceed), return_exceptions=True)
    return result, [line["event"] for line in logs]


async def passing(request, proceed):
    return await proceed(request)


async def test_what_was_called_off_behind_it_is_not_its_fault():
    async def proceed(_exchange):
        raise asyncio.CancelledError

    result, logs = await played(passing, proceed)

    assert isinstance(result, asyncio.CancelledError)
    assert logs == []


class Stop(BaseException):
    pass


async def test_what_came_from_behind_it_is_not_its_fault_whatever_it_is():
    async def proceed(_exchange):
        raise Stop

    result, logs = await played(passing, proceed)

    assert isinstance(result, Stop)
    assert logs == []


async def test_whoever_ends_a_request_that_nobody_waits_for_hears_of_no_fault():
    waits = asyncio.Event()

    async def hang(_request, _proceed):
        await waits.wait()

    stage = a_stage(hang)
    stage.send(None)
    with capture_logs() as logs:
        stage.close()

    assert logs == []


async def test_a_switch_of_protocols_passes_by_it():
    switched = Delivered(status=101, headers={"connection": "upgrade", "upgrade": "websocket"})

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
