"""Finds the plugins that packages offer, and reads their options."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import TYPE_CHECKING

from edge.plugins.plugin import Options, Plugin, Settings
from shared.contracts.checking import read
from shared.contracts.refusals import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.plugins.policy import PluginPolicy
    from edge.policies import RoutePolicy, Table

GROUP = "kirana.edge.stages"
PREFIX = "KIRANA_PLUGIN_"


def plugin_named(name: str) -> Plugin:
    """The plugin. Raises ``LookupError`` with the sentence that says why there is none."""
    found = _offered(tuple(sys.path)).select(name=name)
    offers = {(offer.value, offer.dist.name if offer.dist else ""): offer for offer in found}
    if not offers:
        raise LookupError(f"no installed package offers a plugin '{name}'")
    if len(offers) > 1:
        raise LookupError(f"several packages offer a plugin '{name}'")
    return _loaded(next(iter(offers.values())))


def options_of(plugin: Plugin, policy: PluginPolicy) -> Options:
    """What the route says to it. Raises ``InvalidRequest`` with every fault."""
    return read(plugin.options, policy.options)


def settings_of(name: str) -> Settings:
    """The variables of the environment that are this plugin's, under what is left of their names."""
    prefix = f"{PREFIX}{name.upper().replace('-', '_')}_"
    return {key.removeprefix(prefix): value for key, value in os.environ.items() if key.startswith(prefix)}


def plugins_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """A plugin that is not there, or options that it does not take: such a route is never served."""
    del table
    names = [named.name for named in policy.plugins]
    for position, named in enumerate(policy.plugins):
        at = f"/plugins/{position}"
        if named.name in names[:position]:
            yield f"{at}/name: '{named.name}' is named twice"
            continue
        try:
            options_of(plugin_named(named.name), named)
        except LookupError as absent:
            yield f"{at}/name: {absent.args[0]}"
        except InvalidRequest as invalid:
            yield from (f"{at}/options{one['pointer']}: {one['detail']}" for one in invalid.details["errors"])


@lru_cache(maxsize=8)
def _offered(path: tuple[str, ...]) -> EntryPoints:
    """What packages on this path offer. Looked for once: a package that comes later is found after a restart."""
    del path
    return entry_points(group=GROUP)


@lru_cache(maxsize=256)
def _loaded(offer: EntryPoint) -> Plugin:
    try:
        plugin = offer.load()
    except (Exception, SystemExit) as fault:
        raise LookupError(f"the plugin '{offer.name}' cannot be loaded: {fault!r}"[:300]) from fault
    if not isinstance(plugin, Plugin):
        raise LookupError(f"the plugin '{offer.name}' is no edge.plugins.Plugin")  # noqa: TRY004 - as any that is not there
    return plugin
