"""Says what went wrong so that the reader knows what to type next."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from kirana.commands.typed import as_typed
from kirana.stack.faults import StackFault


def complain(fault: StackFault, *, to: Console | None = None) -> None:
    """Write the fault, its last log lines, its likely cause and the next command to stderr."""
    console = to or Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]✗[/] {escape(str(fault))}")
    for line in fault.log:
        console.print(f"  [dim]│[/] {escape(line)}")
    if fault.cause:
        console.print(f"  Likely cause: {escape(fault.cause)}")
    if fault.mend:
        console.print(f"  Next: [bold]{escape(as_typed(fault.mend))}[/]")
