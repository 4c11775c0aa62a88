"""The words by which a route names plugins."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from edge.vocabulary import Word

PluginName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}(?!\n)$")]
MOST_PLUGINS = 8


class PluginPolicy(Word, frozen=True, kw_only=True):
    """A stage that an installed package offers under this name, with options that only it knows.

    Of several in the same place, the first that is named is the outermost.
    """

    name: PluginName
    options: dict[str, Any] = field(default_factory=dict)
