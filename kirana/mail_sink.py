"""The mail server of the local stack: takes every mail and keeps it as a file, so that people and tests can read it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from shared.logs import configure
from shared.settings.reader import BadSettings, Reader
from shared.values.identifiers import new_id
from shared.values.times import now, to_rfc3339

MAX_MAIL_BYTES = 1_000_000

log = structlog.get_logger()


@dataclass(frozen=True)
class SinkSettings:
    """Where to listen and where to keep the mails."""

    host: str
    port: int
    folder: Path
    instance: str
    environment: str
    level: str
    spool: Path | None


def read_settings(environment: Mapping[str, str]) -> SinkSettings:
    """Raises :class:`BadSettings` with every fault."""
    reader = Reader(environment)
    address = reader.read("SMTP_URL", _smtp_address)
    folder = reader.read("MAIL_DIR", Path)
    spool = reader.read("LOG_SPOOL", str, "")
    instance = reader.read("INSTANCE", str, f"mail-{os.getpid()}")
    level = reader.read("LOG_LEVEL", str, "info")
    name = reader.read("ENVIRONMENT", str, "local")
    reader.finish()
    return SinkSettings(*address, folder, instance, name, level, Path(spool) if spool else None)


def _smtp_address(text: str) -> tuple[str, int]:
    parts = urlsplit(text)
    if parts.scheme != "smtp" or not parts.hostname or not parts.port:
        raise ValueError("smtp://host:port is expected.")
    return parts.hostname, parts.port


class Mailbox:
    """One JSON file per mail. A repeated one (same Message-ID and recipients) is dropped, as delivery agents do."""

    def __init__(self, folder: Path) -> None:
        self.duplicates = 0
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, mail: dict[str, str]) -> bool:
        """Store ``mail`` durably; ``False`` when it was here before. Raises ``OSError`` when it cannot."""
        name = hashlib.sha256(f"{mail['message_id']}\n{mail['to']}".encode()).hexdigest()[:40]
        draft = self._folder / f".{name}.{new_id()}"
        try:
            with draft.open("wb") as file:
                file.write(orjson.dumps(mail))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self._folder / f"{name}.json")
        except FileExistsError:
            self.duplicates += 1
            return False
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(self._folder)
        return True

    def mails(self) -> list[dict[str, Any]]:
        """Every mail kept, in the order of arrival."""
        found = [orjson.loads(path.read_bytes()) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda mail: (mail["received_at"], mail["message_id"]))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Sink:
    """What the SMTP server calls with a finished mail; it answers 250 only when the mail is on the disk."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail."""
        mail = as_mail(envelope.content, envelope.mail_from or "", envelope.rcpt_tos)
        try:
            new = await asyncio.to_thread(self._mailbox.keep, mail)
        except OSError:
            log.exception("mail.not_kept")
            return "452 The mail could not be stored; try again later"
        delivery = mail["message_id"].partition("@")[0].lstrip("<")  # the whole looks like a mail address
        if new:
            log.info("mail.received", delivery=delivery)
        else:
            log.info("mail.duplicate_dropped", delivery=delivery, duplicates=self._mailbox.duplicates)
        return "250 OK"


def as_mail(content: bytes | str | None, sender: str, recipients: list[str]) -> dict[str, str]:
    """The parts of a mail that people and tests look at."""
    raw = content.encode() if isinstance(content, str) else content or b""
    message = BytesParser(policy=modern).parsebytes(raw)
    return {
        "from": sender,
        "to": ", ".join(recipients),
        "subject": str(message.get("Subject", "")),
        "text": _text(message),
        "message_id": str(message.get("Message-ID") or f"<{new_id()}@sink>").strip(),
        "received_at": to_rfc3339(now()),
    }


def _text(message: EmailMessage) -> str:
    body = message.get_body(preferencelist=("plain", "html"))
    if body is None:
        return ""
    with suppress(LookupError, ValueError):  # a charset nobody knows
        return str(body.get_content())
    return bytes(body.get_payload(decode=True) or b"").decode("latin-1")


async def serve(settings: SinkSettings, stop: asyncio.Event) -> None:
    """Listen until ``stop`` is set."""
    sink = Sink(Mailbox(settings.folder))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, hostname="kirana.localhost", data_size_limit=MAX_MAIL_BYTES, enable_SMTPUTF8=True),
        settings.host,
        settings.port,
    )
    log.info("mail.listening", port=settings.port)
    async with server:
        await stop.wait()
    log.info("mail.stopped")


async def _main(settings: SinkSettings) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    await serve(settings, stop)


def main() -> None:
    """Run the sink as its own process."""
    try:
        settings = read_settings(os.environ)
    except BadSettings as fault:
        sys.stderr.write(f"{fault}\n")
        raise
    configure(
        service="mail",
        instance=settings.instance,
        environment=settings.environment,
        level=settings.level,
        spool=settings.spool,
    )
    asyncio.run(_main(settings))


if __name__ == "__main__":
    main()
