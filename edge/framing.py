"""What a request's head may look like: anything two parsers could read differently is refused (RFC 9112)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_HEADERS = 100
LONGEST_LINE = 4096
"""Bytes of the request line; a query of a hundred parameters fits well."""

_REQUEST_LINE = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}) ([\x21\x22\x24-\x7e]+) (HTTP/1\.[01])")
_HEADER_LINE = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[\t ]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,10}")


@dataclass(frozen=True)
class Violation:
    """Why a head is refused, and with which status."""

    status: int
    sentence: str


def violation_of(head: bytes) -> Violation | None:
    """Check a head: everything before the empty line that ends it."""
    request_line, *header_lines = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(request_line)
    if line is None or len(request_line) > LONGEST_LINE:
        return _violation_of_line(request_line)
    if not line[2].startswith(b"/") and (line[1], line[2]) != (b"OPTIONS", b"*"):
        return _violation_of_target(line[1])
    if len(header_lines) > MOST_HEADERS:
        return Violation(431, f"More than {MOST_HEADERS} header fields are not accepted.")
    fields: dict[bytes, list[bytes]] = {}
    for header_line in header_lines:
        field = _HEADER_LINE.fullmatch(header_line)
        if field is None or not _is_utf8(field[2]):
            return Violation(400, "A header field is malformed.")
        fields.setdefault(field[1].lower(), []).append(field[2].rstrip(b"\t "))
    return _violation_of_host(line[3], fields) or _violation_of_length(line[3], fields)


def _violation_of_line(request_line: bytes) -> Violation:
    if len(request_line) > LONGEST_LINE:
        return Violation(414, f"The request line may have at most {LONGEST_LINE} bytes.")
    return Violation(400, "The request line is malformed.")


def _violation_of_target(method: bytes) -> Violation:
    if method == b"CONNECT":
        return Violation(405, "No tunnels are opened here.")
    return Violation(400, "The request target must be a path.")


def _violation_of_host(version: bytes, fields: dict[bytes, list[bytes]]) -> Violation | None:
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        return Violation(400, "Exactly one Host header is required.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        return Violation(400, "The Host header is malformed.")
    return None


def _violation_of_length(version: bytes, fields: dict[bytes, list[bytes]]) -> Violation | None:
    lengths = fields.get(b"content-length", [])
    encodings = fields.get(b"transfer-encoding", [])
    if len(lengths) + len(encodings) > 1:
        return Violation(400, "At most one Content-Length is accepted, and no Transfer-Encoding beside it.")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        return Violation(400, "Content-Length must be a plain number.")
    if encodings and (version == b"HTTP/1.0" or encodings[0].lower() != b"chunked"):
        return Violation(400, "This Transfer-Encoding is not accepted.")
    if encodings:
        return Violation(411, "Chunked bodies are not accepted: send a Content-Length.")
    return None


def _is_utf8(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
