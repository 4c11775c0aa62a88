"""Shows what is going on while a stack comes up: one line per step, with the time it took."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.markup import escape


class Interrupted(KeyboardInterrupt):
    """An interrupt that is handled, and then forgotten.

    Python remembers one of its own kind that comes while a data class is made, as modules do when they are imported:
    ``python -m`` would die of the signal in the end, whatever exit status was asked for.
    """


class Steps:
    """Writes to stderr, so that stdout is free for results. A terminal gets a spinner, a pipe gets plain lines."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._status: Any = None
        self._is_interrupted = False

    def end_on_interrupt(self) -> None:
        """Have an interrupt end the running step. Where Python loses it, as in a destructor, no other step begins."""
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, *_sign: object) -> None:
        self._is_interrupted = True
        raise Interrupted

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run a step; its line appears when it ends, well or not."""
        if self._is_interrupted:
            raise Interrupted
        began = time.monotonic()
        try:
            with self._spinner(title) as self._status:
                yield
        except BaseException:
            self._line("[red]✗[/]", title, time.monotonic() - began)
            raise
        finally:
            self._status = None
        self._line("[green]✓[/]", title, time.monotonic() - began)

    def _spinner(self, title: str) -> AbstractContextManager[Any]:
        return self._console.status(escape(title)) if self._console.is_terminal else nullcontext()

    def now(self, what: str) -> None:
        """Say what the running step is at; only a terminal shows it."""
        if self._status is not None:
            self._status.update(escape(what))

    def note(self, text: str) -> None:
        """A line of its own: something to know that is no failure."""
        self._console.print(f"[yellow]•[/] {escape(text)}")

    @property
    def elapsed(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._started

    def _line(self, mark: str, title: str, seconds: float) -> None:
        self._console.print(f"{mark} {escape(title):<58} [dim]{seconds:6.1f} s[/]")
