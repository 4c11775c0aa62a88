"""The ``kirana`` command: everything an operator or a newcomer does with a stack starts here."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from kirana.commands.complaint import complain
from kirana.stack.faults import StackFault

COMMANDS = (
    "up",
    "down",
    "reset",
    "status",
    "logs",
    "mail",
    "token",
    "users",
    "clients",
    "keys",
    "shell",
    "seed",
    "demo",
    "audit",
    "backup",
    "events",
    "doctor",
    "install",
    "secrets",
    "cache",
    "routes",
    "config",
    "maintenance",
    "deploy",
    "elastic",
)

EXAMPLES = """Run the shop on this machine, and look after it.

\b
kirana up                      start everything, wait until it is ready
kirana demo                    walk a purchase from sign-up to the mail
kirana logs ID                 what became of one request, and why
kirana events parked           what the services could not handle, and why
kirana status --json           addresses and credentials for scripts
kirana down                    stop everything

Of a shop that runs elsewhere, in containers, the broker is named by
KIRANA_AMQP_URL for users, clients, keys, token, audit, events, seed, shell;
logs asks Elasticsearch with --elasticsearch.
"""


def build_app() -> typer.Typer:
    """The command line with every command that ``kirana.commands`` holds."""
    app = typer.Typer(
        help=EXAMPLES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        import_module(f"kirana.commands.{name}").register(app)
    return app


def main() -> None:
    """Run one command. What an operator can mend is said in plain words, with the fault's own exit status."""
    try:
        build_app()()
    except StackFault as fault:
        complain(fault)
        sys.exit(fault.exit_code)
    except OSError as fault:
        complain(StackFault(f"{fault.strerror or fault}: {fault.filename}" if fault.filename else str(fault)))
        sys.exit(StackFault.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
