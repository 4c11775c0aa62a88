"""The places where a route's plugins run."""

from __future__ import annotations

from collections.abc import Awaitable

from sanic import HTTPResponse

from edge.composing import for_each, only_for
from edge.exchange import Around, Exchange, Stage, Target
from edge.faults import BadRoutes, Fault
from edge.plugins.installed import options_of, plugin_named, settings_of
from edge.plugins.plugin import Place
from edge.plugins.policy import PluginPolicy
from edge.plugins.stage import stage_of
from edge.routes import Route


@only_for(lambda route: bool(_named(route, "before authenticate")))
@for_each
def plugins_before_authenticate(route: Route) -> Stage:
    """Those that find out by themselves who calls, or need not know."""
    return _together(route, "before authenticate")


@only_for(lambda route: bool(_named(route, "around the target")))
@for_each
def plugins_around_target(route: Route) -> Stage:
    """Those that change answers, or ask nobody for them. What is kept is kept without their changes."""
    return _together(route, "around the target")


def _named(route: Route, place: Place) -> list[PluginPolicy]:
    return [named for named in route.policy.plugins if plugin_named(named.name).place == place]


def _together(route: Route, place: Place) -> Stage:
    """One stage of all that run in this place, the first that is named outermost."""
    stage, *inner = reversed([_made(route, named) for named in _named(route, place)])
    for outer in inner:
        stage = _within(outer, stage)
    return stage


def _within(outer: Around, stage: Around) -> Around:
    def both(exchange: Exchange, proceed: Target) -> Awaitable[HTTPResponse]:
        return outer(exchange, lambda further: stage(further, proceed))

    return both


def _made(route: Route, named: PluginPolicy) -> Around:
    """Raises :class:`BadRoutes`: a route whose plugin does not want to work is never served without it."""
    plugin = plugin_named(named.name)
    try:
        handler = plugin.make(options_of(plugin, named), settings_of(named.name))
    except (Exception, SystemExit) as fault:
        detail = f"/plugins: the plugin '{named.name}' cannot be made: {fault!r}"[:300]
        raise BadRoutes([Fault(detail, route=route.policy.name)]) from fault
    return stage_of(named.name, plugin, handler)
