"""``kirana audit``: whether every promise the shop made was kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from kirana.audit.checks import Finding, findings
from kirana.audit.evidence import Acknowledged, BadHistory, gather, read_acknowledged
from kirana.calls import Calls, RemoteFault
from kirana.mail_sink import Mailbox
from kirana.stack.faults import NotRunning, StackFault
from kirana.stack.presence import load_running
from kirana.stack.state import StackState
from shared.contracts.refusals import Refusal

SETTLES_WITHIN = 75
"""A mail that a killed postman had claimed is due again after a minute."""

SHOWN_FAULTS = 20
_POLL_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    *,
    wait: Annotated[
        float, typer.Option(min=0, help="How many seconds things in flight may take to settle.")
    ] = SETTLES_WITHIN,
    acknowledged: Annotated[
        Path | None, typer.Option(help="History of a load driver: JSON lines with key and order_id.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON, for scripts.")] = False,
) -> None:
    """Check every order, its stock and its mail, and exit 0 only if all is as it was promised.

    Example: kirana audit --wait 60 --acknowledged history.jsonl
    """
    stack = load_running()
    try:
        history = read_acknowledged(acknowledged) if acknowledged else None
    except BadHistory as fault:
        raise StackFault(str(fault)) from None
    found = _settled(stack, history, wait)
    if as_json:
        sys.stdout.write(orjson.dumps(as_document(found), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _show(found)
    raise typer.Exit(0 if all(finding.holds for finding in found) else 1)


def as_document(found: Sequence[Finding]) -> dict[str, Any]:
    """The stable shape that scripts read."""
    return {
        "ok": all(finding.holds for finding in found),
        "checks": [
            {"name": finding.name, "checked": finding.checked, "faults": finding.faults, "ok": finding.holds}
            for finding in found
        ],
    }


def _settled(stack: StackState, history: Sequence[Acknowledged] | None, wait: float) -> list[Finding]:
    """Look again until all holds or the time is over; a service that is coming back is waited for too."""
    deadline = time.monotonic() + wait
    with Calls(stack) as calls:
        while True:
            is_over = time.monotonic() >= deadline
            try:
                found = findings(gather(calls, Mailbox(stack.mail), history))
            except (Refusal, RemoteFault) as fault:
                if is_over:
                    raise NotRunning(f"The services cannot be asked: {fault}", mend="kirana status") from None
                found = []
            if found and (is_over or all(finding.holds for finding in found)):
                return found
            time.sleep(_POLL_SECONDS)


def _show(found: Sequence[Finding]) -> None:
    console = Console(highlight=False, emoji=False)
    table = Table("", "what must be true", "checked", "faults", title="Audit")
    for finding in found:
        style = "green" if finding.holds else "bold red"
        table.add_row(
            "✓" if finding.holds else "✗", finding.name, f"{finding.checked:,}", f"{len(finding.faults):,}", style=style
        )
    console.print(table)
    for finding in found:
        for fault in finding.faults[:SHOWN_FAULTS]:
            console.print(f"  {finding.name}: {fault}", style="red", markup=False)
        if len(finding.faults) > SHOWN_FAULTS:
            console.print(f"  … and {len(finding.faults) - SHOWN_FAULTS:,} more", style="red")
