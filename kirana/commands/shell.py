"""``kirana shell``: the shell of Nameko, set up for this stack; what is piped in is run as a script."""

from __future__ import annotations

import ast
import logging
import sys
import traceback
import warnings
from types import ModuleType
from typing import Any

import typer

from kirana.parking import address
from kirana.reached import find
from kirana.stack.faults import NotRunning
from shared.values.identifiers import new_id

ANSWER_SECONDS = 30
_SOURCE = "<stdin>"
_BANNER = """Nameko shell of the shop in {of}
  n.rpc.catalog.get_product(product_id=1)      call a method of a service
  n.dispatch_event("order", "order.placed", {{}})  publish an event as a service would
Lines of your calls: kirana logs --request {request_id}
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell")(shell)


def shell() -> None:
    """Open a Python shell in which n.rpc calls every method of every service.

    Example: echo 'print(n.rpc.catalog.get_product(product_id=1))' | kirana shell
    """
    shop = find()
    request_id = new_id()
    logging.getLogger("amqp").setLevel(logging.CRITICAL)  # the fault that is raised says it better
    try:
        n = _nameko(shop.amqp, request_id)
    except OSError as fault:
        raise NotRunning(f"The broker cannot be reached: {fault}", mend=shop.mend) from None
    status = 0
    try:
        if sys.stdin.isatty():
            _interact(_BANNER.format(of=shop.stack.home if shop.stack else address.SETTING, request_id=request_id), n)
        else:
            status = run_script(sys.stdin.read(), {"n": n})
    finally:
        n.disconnect()
    raise typer.Exit(status)


def run_script(source: str, names: dict[str, Any]) -> int:
    """Run ``source`` as if typed line by line: a bare expression shows its value. Gives the exit status."""
    names.setdefault("__builtins__", __builtins__)
    try:
        for statement in ast.parse(source, _SOURCE).body:
            code = compile(ast.Interactive([statement]), _SOURCE, "single")
            exec(code, names)  # noqa: S102 - running the operator's own lines is what a shell is for
    except SystemExit as wish:
        return wish.code if isinstance(wish.code, int) else int(wish.code is not None)
    except Exception as fault:  # noqa: BLE001 - the operator's own line failed: show it and say so by the status
        sys.stderr.write("".join(_told(fault)))
        return 1
    finally:
        sys.stdout.flush()
    return 0


def _told(fault: Exception) -> list[str]:
    """The fault as the operator's lines met it: what went on inside the client is nothing they can mend."""
    told = traceback.TracebackException.from_exception(fault)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if frame.filename == _SOURCE])
    return list(told.format(chain=False))


def _nameko(amqp: str, request_id: str) -> Any:
    """What ``nameko shell`` calls ``n``, with an answer's time bounded and a request id for the logs."""
    with warnings.catch_warnings(record=True):  # eventlet announces its retirement: no news to an operator
        from nameko import config
        from nameko.standalone.events import event_dispatcher
        from nameko.standalone.rpc import ClusterRpcClient

    config.update({"AMQP_URI": amqp})
    client = ClusterRpcClient(context_data={"request_id": request_id}, timeout=ANSWER_SECONDS)
    n: Any = ModuleType("nameko")
    n.rpc = client.start()
    n.dispatch_event = event_dispatcher()
    n.config = config
    n.disconnect = client.stop
    return n


def _interact(banner: str, n: Any) -> None:
    from nameko.cli.shell import ShellRunner

    ShellRunner(banner, {"n": n}).start_shell(name=None)
