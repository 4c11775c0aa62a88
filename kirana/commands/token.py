"""``kirana token``: an access token for the operator's own terminal, without anybody's password."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kirana.calls import Calls, RemoteFault
from kirana.reached import find
from kirana.stack.faults import StackFault
from shared.contracts import identity
from shared.contracts.checking import read
from shared.contracts.refusals import InvalidRequest, Refusal


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("token")(token)


def token(user: Annotated[str, typer.Option(help="Whose token, by username.")]) -> None:
    r"""Print an access token of a user, and nothing else.

    Example: curl -H "Authorization: Bearer $(kirana token --user admin)" http://127.0.0.1:8000/api/users/me
    """
    shop = find()
    try:
        with Calls(shop) as calls:
            request = read(identity.MintAccessToken, {"username": user})
            minted: identity.AccessToken = calls.call(identity.MINT_ACCESS_TOKEN, request)
    except (identity.UserNotFound, InvalidRequest):
        raise StackFault(f"There is no user {user!r}.") from None
    except (Refusal, RemoteFault) as fault:
        raise StackFault(f"No token for {user}: {fault}", mend=shop.mend) from None
    sys.stdout.write(minted.access + "\n")
