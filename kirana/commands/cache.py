"""``kirana cache``: takes answers that the edges keep away, everywhere at once."""

from __future__ import annotations

import os
from typing import Annotated, Any

import httpx
import typer

from kirana.calls import Calls, RemoteFault
from kirana.stack.faults import NotRunning, StackFault
from kirana.stack.presence import load_running
from kirana.stack.state import StackState
from shared.contracts import identity
from shared.contracts.refusals import Refusal

HELP = """Answers that the edges keep ready.

\b
kirana cache purge --tag product:42          whatever tells of this product
kirana cache purge --path /api/products/42   one path, with every query of it
kirana cache purge --all                     everything

\b
Changes in the shop purge by themselves what they make old. The edge is the
local stack's, or the one that --url names; that one wants a token with the
scope edge:admin in KIRANA_TOKEN.
"""

ANSWER_SECONDS = 10.0
OK = 200
TOKEN = "KIRANA_TOKEN"  # noqa: S105 - where a token is, not one


def register(app: typer.Typer) -> None:
    """Add the commands."""
    cache = typer.Typer(help=HELP, no_args_is_help=True)
    cache.command("purge")(purge)
    app.add_typer(cache, name="cache")


def purge(
    *,
    tag: Annotated[str | None, typer.Option(help="What the answers tell of, e.g. product:42 or products.")] = None,
    path: Annotated[str | None, typer.Option(help="Where the answers are, e.g. /api/products/42.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever is kept.")] = False,
    url: Annotated[str | None, typer.Option(help="An edge other than the local stack's.")] = None,
) -> None:
    """Take kept answers away at every worker of every edge. Repeating it is harmless.

    Example: kirana cache purge --tag product:42
    """
    if [tag is not None, path is not None, everything].count(True) != 1:
        raise typer.BadParameter("say which: --tag, --path or --all.")
    wanted: dict[str, Any] = {"everything": True} if everything else {"tag": tag} if tag else {"path": path}
    base, token = (url, os.environ.get(TOKEN, "")) if url else _local()
    try:
        answer = httpx.post(
            f"{base}/admin/cache/purge",
            json=wanted,
            headers={"Authorization": f"Bearer {token}"},
            timeout=ANSWER_SECONDS,
        )
    except httpx.HTTPError as fault:
        raise NotRunning(f"The edge at {base} cannot be reached: {fault}", mend="kirana status") from None
    if answer.status_code != OK:
        raise StackFault(f"The edge says: {_reason(answer)}", mend="kirana doctor")
    typer.echo(f"Purged everywhere: {answer.json()['tag']}")


def _local() -> tuple[str, str]:
    """The local stack's edge, and a token of its administrator."""
    stack = load_running()
    return stack.edge_url, _minted(stack)


def _minted(stack: StackState) -> str:
    try:
        with Calls(stack) as calls:
            wanted = identity.MintAccessToken(username=stack.admin_username)
            minted: identity.AccessToken = calls.call(identity.MINT_ACCESS_TOKEN, wanted)
    except (Refusal, RemoteFault) as fault:
        raise StackFault(f"No token for the administrator: {fault}", mend="kirana status") from None
    return minted.access


def _reason(answer: httpx.Response) -> str:
    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    return str(said.get("detail") or f"HTTP status {answer.status_code}")
