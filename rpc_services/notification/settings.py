"""What notification is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from shared.settings.reader import Reader, positive

_PORTS = {"smtp": 25, "smtps": 465}
ANSWER_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and how long it may take over one answer."""

    host: str
    port: int
    is_encrypted: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    answer_seconds: int = ANSWER_SECONDS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The mail server, and whose name stands on the letters.

    A server that is slow to answer is given more time (``KIRANA_SMTP_TIMEOUT``, in seconds, for each answer). A letter
    that a process had in hand when it died waits twelve times as long before another takes it.
    """

    mail_server: MailServer
    mail_from: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`~shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    server = reader.read("SMTP_URL", mail_server)
    patience = reader.read("SMTP_TIMEOUT", positive, ANSWER_SECONDS)
    sender = reader.read("MAIL_FROM", str, "shop@kirana.localhost")
    reader.finish()
    return Settings(mail_server=replace(server, answer_seconds=patience), mail_from=sender)


def mail_server(url: str) -> MailServer:
    """``smtp://user:password@host:port``, or ``smtps`` for TLS from the first byte. Raises ``ValueError``."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("smtp://host:port or smtps://host:port is expected.")
    return MailServer(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        is_encrypted=parts.scheme == "smtps",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
