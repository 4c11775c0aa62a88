"""Gives the doors of a service its settings, read once when the process starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from nameko.extensions import DependencyProvider


class Configured(DependencyProvider):
    """Injects what ``read_settings(environ)`` gave at start. Bad settings end the process before it serves."""

    def __init__(self, read_settings: Callable[[Mapping[str, str]], Any]) -> None:
        self.read_settings = read_settings
        self.settings: Any = None

    def setup(self) -> None:
        """Read them."""
        self.settings = self.read_settings(os.environ)

    def get_dependency(self, worker_ctx: Any) -> Any:
        """The same settings for every call."""
        del worker_ctx
        return self.settings
