"""Hands messages to an SMTP server, and tells a refusal for good from one that may pass."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from ssl import create_default_context

from rpc_services.notification.domain import Delivery
from rpc_services.notification.settings import MailServer
from rpc_services.notification.use_cases import NotNow, Undeliverable
from shared.contracts.mail_addresses import host_of

_PERMANENT = range(500, 600)
_MISUNDERSTANDINGS = range(500, 505)
"""Commands that are unknown, malformed or out of turn: the server says nothing of the message."""
_MALFORMED = 501
_ABOUT_US = frozenset({530, 534, 535, 538})
"""Authentication: the message is not to blame, our settings are."""

Connect = Callable[[MailServer], smtplib.SMTP]


@dataclass
class SmtpMailer:
    """Sends over one connection, opened for the first message and closed after the last."""

    server: MailServer
    sender: str
    connect: Connect
    _connection: smtplib.SMTP | None = None

    def send(self, delivery: Delivery) -> None:
        """Raises :class:`Undeliverable` or :class:`NotNow`."""
        try:
            message = compose(delivery, self.sender)
        except (ValueError, IndexError, MessageError):  # the address is none, by the standard library's reading
            raise Undeliverable from None
        try:
            self._connected().send_message(message)
        except (smtplib.SMTPNotSupportedError, ValueError):  # an address beyond ASCII, and a server without SMTPUTF8
            self.close()
            raise Undeliverable from None
        except (smtplib.SMTPException, OSError) as fault:
            self._give_up_on(fault)

    def close(self) -> None:
        """Say goodbye, if anybody is there."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            try:
                self._connection = self.connect(self.server)
            except (smtplib.SMTPException, OSError) as fault:
                raise NotNow(_reason(fault)) from None
        return self._connection

    def _give_up_on(self, fault: Exception) -> None:
        if not self._is_reset_after(fault):
            self.close()
        if _is_for_good(fault):
            raise Undeliverable(_code(fault)) from None
        raise NotNow(_reason(fault)) from None

    def _is_reset_after(self, fault: Exception) -> bool:
        """Whether the next message may begin: after other faults the server may still be amid this one."""
        is_of_envelope = isinstance(fault, smtplib.SMTPSenderRefused | smtplib.SMTPRecipientsRefused)
        return is_of_envelope and self._connection is not None and self._connection.sock is not None


def compose(delivery: Delivery, sender: str) -> EmailMessage:
    """The message. Raises ``ValueError``, ``IndexError`` or ``MessageError`` when the address cannot be one."""
    local, _, domain = delivery.recipient.address.rpartition("@")
    message = EmailMessage()
    message["From"] = Address("Kirana", addr_spec=sender)
    message["To"] = Address(addr_spec=f"{local}@{host_of(domain)}")
    message["Subject"] = delivery.letter.subject
    message["Date"] = format_datetime(delivery.created_at)
    message["Message-ID"] = delivery.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(delivery.letter.text)
    return message


def connect(server: MailServer) -> smtplib.SMTP:
    """A connection that greets and, where the settings say so, encrypts and logs in."""
    secured = partial(smtplib.SMTP_SSL, context=create_default_context())
    kind: Callable[..., smtplib.SMTP] = secured if server.is_encrypted else smtplib.SMTP
    connection = kind(server.host, server.port, local_hostname="kirana.localhost", timeout=server.answer_seconds)
    if server.username:
        connection.login(server.username, server.password)
    return connection


def _is_for_good(fault: Exception) -> bool:
    """Whether it is the message that the server will never take. Who refuses our greeting has not seen it."""
    code = _code(fault)
    if isinstance(fault, smtplib.SMTPRecipientsRefused) and code == _MALFORMED:
        return True  # what is malformed there is the address
    is_of_message = code not in _ABOUT_US and code not in _MISUNDERSTANDINGS
    return code in _PERMANENT and is_of_message and not isinstance(fault, smtplib.SMTPHeloError)


def _code(fault: Exception) -> int:
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in fault.recipients.values()), default=0)
    return fault.smtp_code if isinstance(fault, smtplib.SMTPResponseException) else 0


def _reason(fault: Exception) -> str:
    """The kind of fault and its code; its text may hold an address."""
    code = _code(fault)
    return f"{type(fault).__name__} {code}" if code else type(fault).__name__
