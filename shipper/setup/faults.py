"""What can go wrong while Elasticsearch and Kibana are made ready."""

from __future__ import annotations


class SetupFault(Exception):
    """Something an operator can mend; ``mend`` says what to do next."""

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


class NotReady(SetupFault):
    """The server did not answer, or not as one that is ready, for as long as we were told to wait."""


class NotAllowed(SetupFault):
    """The server does not know us, or does not let us."""


class NotTaken(SetupFault):
    """The server refused what it was given, or answered what it never should."""
