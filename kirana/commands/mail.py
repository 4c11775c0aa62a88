"""``kirana mail``: what the shop sent, as it arrived in the local stack's mailbox."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from kirana.mail_sink import Mailbox
from kirana.stack import state


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mail")(mail)


def mail(
    *,
    to: Annotated[str | None, typer.Option(help="Only mails to this address.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array, for scripts.")] = False,
) -> None:
    """Show the mails that the shop sent, oldest first.

    Example: kirana mail --to ada@example.com
    """
    found = [item for item in Mailbox(state.load().mail).mails() if to is None or _is_to(item, to)]
    if as_json:
        sys.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    console = Console(highlight=False, emoji=False)
    for item in found:
        console.print(_panel(item))
    if not found:
        Console(stderr=True).print("No mail" + (f" to {to}" if to else "") + " yet.")


def _is_to(item: dict[str, Any], address: str) -> bool:
    return address.lower() in {part.strip().lower() for part in item["to"].split(",")}


def _panel(item: dict[str, Any]) -> Panel:
    body = Text(f"From: {item['from']}\nTo:   {item['to']}\n\n", style="dim")
    body.append(item["text"].replace("\r\n", "\n").strip(), style="not dim")
    return Panel(
        body, title=Text(item["subject"], style="bold"), subtitle=Text(item["received_at"][:19]), title_align="left"
    )
