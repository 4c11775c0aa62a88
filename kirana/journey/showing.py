"""Shows requests and answers so that a reader can follow, with secrets cut short."""

from __future__ import annotations

import json
from typing import Any

import httpx
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

_SECRETS = {"password", "password2", "access", "refresh", "cart_token"}
_SHOWN_SECRET = 8
_SHOWN_ITEMS = 3
_SHOWN_TEXT = 60
_WIDTH = 300
_INDENT = (0, 0, 0, 5)
_GOOD = 400


class Printer:
    """Prints the steps of a walk to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self._step += 1
        self._console.print(Text(f"\n{self._step}. {title}", style="bold cyan"))

    def request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> None:
        """Show what is sent."""
        line = Text("   → ", style="dim")
        line.append(f"{method} {path}", style="bold")
        for name, value in headers.items():
            line.append(f"  {name}: {_short_header(name, value)}", style="dim")
        self._console.print(line)
        if body is not None:
            self._console.print(Padding(Text(compact(body), style="dim"), _INDENT))

    def answer(self, response: httpx.Response, seconds: float) -> None:
        """Show what came back, and how long it took."""
        line = Text("   ← ", style="dim")
        line.append(
            f"{response.status_code} {response.reason_phrase}",
            style="bold green" if response.status_code < _GOOD else "bold yellow",
        )
        line.append(f"  {seconds * 1000:.0f} ms", style="dim")
        self._console.print(line)
        body = body_of(response)
        if body is not None:
            self._console.print(Padding(Text(compact(body)), _INDENT))

    def held(self, sentence: str) -> None:
        """Show that something was as it should be."""
        self._console.print(Text(f"   ✓ {sentence}", style="green"))

    def failed(self, sentence: str) -> None:
        """Show that something was not."""
        self._console.print(Text(f"   ✗ {sentence}", style="bold red"))

    def note(self, sentence: str) -> None:
        """Show something worth knowing."""
        self._console.print(Text(f"   {sentence}", style="dim"))


def body_of(response: httpx.Response) -> Any:
    """The JSON of a response, or ``None``."""
    try:
        return response.json() if response.content else None
    except json.JSONDecodeError:
        return None


def compact(body: Any) -> str:
    """A body on one line: long lists and texts shortened, secrets cut."""
    text = json.dumps(_shortened(body), ensure_ascii=False)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _shortened(value: Any) -> Any:
    match value:
        case dict():
            return {name: _cut(part) if name in _SECRETS else _shortened(part) for name, part in value.items()}
        case list() if len(value) > _SHOWN_ITEMS:
            return [*(_shortened(part) for part in value[:_SHOWN_ITEMS]), f"… {len(value) - _SHOWN_ITEMS} more"]
        case list():
            return [_shortened(part) for part in value]
        case str() if len(value) > _SHOWN_TEXT:
            return value[:_SHOWN_TEXT] + "…"
    return value


def _cut(secret: Any) -> Any:
    return f"{secret[:_SHOWN_SECRET]}…" if isinstance(secret, str) else secret


def _short_header(name: str, value: str) -> str:
    return _cut(value) if name == "X-Cart-Token" else "Bearer …" if name == "Authorization" else value
