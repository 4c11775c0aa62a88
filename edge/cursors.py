"""Seals the cursors of pages, so that a client can neither read meaning into one nor make one up."""

from __future__ import annotations

import base64
import binascii
import hmac

TAG_BYTES = 16


class BadCursor(ValueError):
    """This cursor was not given out by us for this list."""


class Cursors:
    """Seals and opens cursors. ``scope`` names the list: a cursor of one list does not open another."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, cursor: str, *, scope: str) -> str:
        """An opaque text of URL-safe characters."""
        raw = cursor.encode()
        return base64.urlsafe_b64encode(self._tag(raw, scope) + raw).decode().rstrip("=")

    def open(self, sealed: str, *, scope: str) -> str:
        """The inverse of :meth:`seal`. Raises :class:`BadCursor`."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadCursor from None
        tag, cursor = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(cursor, scope)):
            raise BadCursor
        return cursor.decode()

    def fingerprint(self, text: bytes) -> str:
        """A keyed SHA-256 of what was asked (hex): it may hold a password, so it must not be guessable offline."""
        return hmac.digest(self._secret, b"fingerprint\0" + text, "sha256").hex()

    def _tag(self, cursor: bytes, scope: str) -> bytes:
        return hmac.digest(self._secret, b"cursor\0" + scope.encode() + b"\0" + cursor, "sha256")[:TAG_BYTES]
