"""What a package offers under the entry point group ``kirana.edge.stages``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edge.plugins.messages import Request, Response
from edge.problems import PROBLEMS
from edge.vocabulary import Word

Place = Literal["before authenticate", "around the target"]
"""Before it is known who calls, after the limit by address; or behind everything but transforms, cache and target."""

PLACES: tuple[Place, ...] = ("before authenticate", "around the target")

Proceed = Callable[[Request], Awaitable[Response]]
"""The rest of the way, once per request. What it raises is best let through: the edge makes the right answer of it."""

Handler = Callable[[Request, Proceed], Awaitable[Response]]
"""The stage itself."""

Settings = Mapping[str, str]
"""The plugin's own part of the environment: ``KIRANA_PLUGIN_API_KEY_FILE`` is ``FILE`` for ``api-key``."""


class Options(Word, frozen=True, kw_only=True):
    """Base of what a route may say to the plugin: a msgspec struct, in which an unknown key is a fault."""


class NoOptions(Options, frozen=True, kw_only=True):
    """A plugin that has none."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """``make`` gives the stage of one route; what it raises keeps the whole table from coming into force.

    It runs beside the event loop, perhaps for a table that is only looked at: what needs the loop belongs into
    ``opened``, which is awaited once per worker before the first request, ``closed`` after the last. ``problems`` are
    codes that the stage may answer with, ``media_types`` what else it may answer in: both for the description at
    ``/openapi.json``. Raises ``ValueError`` for a place or a code that there is not.
    """

    place: Place
    make: Callable[[Any, Settings], Handler]
    options: type[Options] = NoOptions
    opened: Callable[[], Awaitable[None]] | None = None
    closed: Callable[[], Awaitable[None]] | None = None
    problems: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"there is no place '{self.place}'")
        if unknown := [code for code in self.problems if code not in PROBLEMS]:
            raise ValueError(f"there is no problem '{unknown[0]}'")
