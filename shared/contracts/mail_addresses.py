"""Which e-mail addresses can be written to: those that look like one, and of these the ones that mail can go to."""

from __future__ import annotations

import re
import stringprep
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from typing import Annotated, Any

import idna
from msgspec import Meta

LONGEST = 254
FORM = r"^[^@\s\x00]{1,64}@[^@\s\x00]{1,189}(?!\n)$"

EmailAddress = Annotated[str, Meta(max_length=LONGEST, pattern=FORM, description="An e-mail address.")]

NOT_MAILABLE = {"pointer": "/email", "detail": "No message can be sent to this address."}

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""What ends like this is read as an address of IPv4, of however few parts."""


def host_of(domain: str) -> str:
    """The one name, in ASCII, that mail to this domain is sent to. Raises ``ValueError`` where there is none.

    As IDNA 2008 and UTS 46 have it, which browsers and registries follow. Python's own codec is older: it takes
    ``straße.de`` for ``strasse.de``, which belongs to somebody else.
    """
    if domain.isascii() and "xn--" not in (host := domain.lower()):
        return host  # nothing to translate; and below, hyphens are refused that hosts of old have
    return idna.encode(domain, uts46=True).decode()


def is_mailable(address: str) -> bool:
    """Whether a message can be addressed to it (RFC 5322, and IDNA for the domain), beyond the form of the type.

    Only to a host by its name: a message to ``10.0.0.1`` would have our own relay knock there. And only as it stands:
    a comment in it, or what IDNA maps to nothing, would make two addresses of one mailbox. The host is looked at
    first, for the library's parser breaks on what only begins like an address in brackets.
    """
    local, _, domain = address.rpartition("@")
    if "@" in local or any(stringprep.in_table_b1(character) for character in domain):
        return False
    try:
        host = host_of(domain)
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]) or not all(_HOST_LABEL.fullmatch(label) for label in labels):
            return False
        return Address(addr_spec=f"{local}@{host}").addr_spec == f"{local}@{host}"
    except (ValueError, IndexError, MessageError):
        return False


def faults_in(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """What can be said of the ``email`` of a request that is bad elsewhere; a bad form is told as such already."""
    address = given.get("email")
    if not isinstance(address, str) or len(address) > LONGEST or not re.search(FORM, address):
        return []
    return [] if is_mailable(address) else [NOT_MAILABLE]
