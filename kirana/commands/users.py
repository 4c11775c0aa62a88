"""``kirana users``: make an administrator, keep somebody out of the shop, or let them in again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kirana.identity_calls import ask
from kirana.stack.faults import StackFault
from shared.contracts import identity
from shared.contracts import identity_operators as operators

HELP = """Make an administrator, keep somebody out of the shop, or let them in again.

\b
kirana users admin asha                            asks for the password
kirana users admin asha --password-file /run/secrets/asha
printf %s "$PASSWORD" | kirana users admin asha    in a script
kirana users disable mallory

\b
The local stack's shop is meant, or the one whose broker KIRANA_AMQP_URL (or
KIRANA_AMQP_URL_FILE) names: as its user operator, for nobody else may.
"""

Name = Annotated[str, typer.Argument(metavar="NAME", help="By username, whatever its case.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    users = typer.Typer(help=HELP, no_args_is_help=True)
    users.command("admin")(admin)
    users.command("disable")(disable)
    users.command("enable")(enable)
    app.add_typer(users, name="users")


def admin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The username.")],
    *,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the password; else it is asked for, or read from standard input.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Of a new account; NAME@kirana.localhost if none is given.")] = None,
) -> None:
    """Make somebody an administrator, with an account or of the one there is. Repeating it is harmless.

    One who has an account gets this password and these rights; their
    sessions end if either was another until then. Whoever is kept out
    (kirana users disable) stays out.

    Example: kirana users admin asha --password-file /run/secrets/asha
    """
    password = _password(password_file)
    address = email or f"{name}@kirana.localhost"
    new: identity.User | None = ask(
        identity.REGISTER_USER,
        identity.RegisterUser,
        unless=identity.UsernameTaken,
        username=name,
        password=password,
        password2=password,
        email=address,
    )
    user: identity.User = ask(
        identity.ENSURE_STAFF,
        identity.EnsureStaff,
        username=name,
        password=password,
        email=address,
        scopes=list(identity.ADMIN_SCOPES),
    )
    was = "has an account now" if new else f"had an account before, whose mail goes to {user.email},"
    sys.stdout.write(f"{user.username} {was} and is an administrator: {', '.join(identity.ADMIN_SCOPES)}\n")


def disable(name: Name) -> None:
    """End every session of a user at once, everywhere, and open no new one.

    Example: kirana users disable mallory
    """
    _switch(name, disabled=True)


def enable(name: Name) -> None:
    """Let a user log in again.

    Example: kirana users enable mallory
    """
    _switch(name, disabled=False)


def _switch(name: str, *, disabled: bool) -> None:
    user: identity.User = ask(identity.SWITCH_USER, operators.SwitchUser, username=name, disabled=disabled)
    sys.stdout.write(f"{user.username} {'can no longer log in' if disabled else 'can log in'}\n")


def _password(file: Path | None) -> str:
    """As it was typed, without the line's end that editors and ``echo`` add. Raises :class:`StackFault` for none."""
    try:
        if file is None and sys.stdin.isatty():
            return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StackFault("The password is no text in UTF-8.") from None
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise StackFault(
            "No password was given.", mend="kirana users admin NAME --password-file FILE   (or: in a terminal)"
        )
    return password
