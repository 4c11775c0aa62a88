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
from kirana.reached import Shop, find
from kirana.stack.faults import NotRunning, StackFault
from shared.contracts.refusals import Refusal

SETTLES_WITHIN = 75
"""A mail that a killed postman had claimed is due again after a minute."""

SHOWN_FAULTS = 20
NO_MAILBOX = "whether the mails arrived, as there is no mailbox here to look into; what was sent was checked"
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

    The local stack's shop, or the one whose broker KIRANA_AMQP_URL names; of that one it leaves out, and says so,
    whether the mails arrived.

    Example: kirana audit --wait 60 --acknowledged history.jsonl
    """
    shop = find()
    try:
        history = read_acknowledged(acknowledged) if acknowledged else None
    except BadHistory as fault:
        raise StackFault(str(fault)) from None
    found, left_out = _settled(shop, history, wait), _left_out(shop)
    if as_json:
        sys.stdout.write(orjson.dumps(as_document(found, left_out), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _show(found)
        for each in left_out:
            Console(stderr=True, highlight=False, soft_wrap=True).print(f"Left out: {each}.")
    raise typer.Exit(0 if all(finding.holds for finding in found) else 1)


def as_document(found: Sequence[Finding], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The stable shape that scripts read; ``left_out`` says what could not be looked at from here."""
    return {
        "ok": all(finding.holds for finding in found),
        "checks": [
            {"name": finding.name, "checked": finding.checked, "faults": finding.faults, "ok": finding.holds}
            for finding in found
        ],
        "left_out": list(left_out),
    }


def _left_out(shop: Shop) -> list[str]:
    return [] if shop.stack else [NO_MAILBOX]


def _settled(shop: Shop, history: Sequence[Acknowledged] | None, wait: float) -> list[Finding]:
    """Look again until all holds or the time is over; a service that is coming back is waited for too."""
    deadline = time.monotonic() + wait
    mailbox = Mailbox(shop.stack.mail) if shop.stack else None
    with Calls(shop) as calls:
        while True:
            is_over = time.monotonic() >= deadline
            try:
                found = findings(gather(calls, mailbox, history))
            except (Refusal, RemoteFault) as fault:
                if is_over:
                    raise NotRunning(f"The services cannot be asked: {fault}", mend=shop.mend) from None
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
