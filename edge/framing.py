"""Reads a request's head once, for everybody: what two parsers could read differently is refused (RFC 9112)."""

from __future__ import annotations

import re
from typing import NamedTuple

from sanic.exceptions import ExpectationFailed, SanicException

MOST_HEADERS = 100
LONGEST_LINE = 4096
"""Bytes of the request line; a query of a hundred parameters fits well."""

LONGEST_REMEMBERED = 2048
"""Bytes of header fields that are kept with their meaning until the connection sends others."""

_REQUEST_LINE = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}) ([\x21\x22\x24-\x7e]+) HTTP/(1\.[01])")
_FIELDS = re.compile(r"(?:(?:^|\r\n)[A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\x00-\x08\x0a-\x1f\x7f]*)*")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,10}")

Fields = list[tuple[str, str]]


class FramingViolation(SanicException):
    """The head cannot be trusted: answered with its status, and the connection ends."""

    quiet = True


class Header(NamedTuple):
    """The fields of a head that can be trusted, and what they say of its body and its connection.

    ``length`` is the announced body's, in bytes: 0 when there is none. Names in ``fields`` are in lower case.
    """

    fields: Fields
    length: int
    keep_alive: bool
    expects_continue: bool


def read_line(line: bytes) -> tuple[str, str, str]:
    """The method, the target and the version (``1.1``) of a request line. Raises :class:`FramingViolation`."""
    if len(line) > LONGEST_LINE:
        raise FramingViolation(f"The request line may have at most {LONGEST_LINE} bytes.", status_code=414)
    asked = _REQUEST_LINE.fullmatch(line.decode("latin-1"))
    if asked is None:
        raise _malformed("The request line is malformed.")
    method, target, version = asked.groups()
    if target[0] != "/" and (method, target) != ("OPTIONS", "*"):
        raise _not_a_path(method)
    return method, target, version


def read_header(version: str, block: bytes) -> Header:
    """What follows the request line, without the empty line that ends it.

    Raises :class:`FramingViolation`, and ``ExpectationFailed`` for an expectation that nobody here knows.
    """
    fields = _read_fields(block)
    names = [name for name, _ in fields]
    _check_host(version, names, fields)
    return Header(
        fields,
        _length_of(version, names, fields),
        _keeps_alive(version, names, fields),
        _expects_continue(version, names, fields),
    )


class HeadReader:
    """Reads the heads that come on one connection: what a client repeats in each is read only once."""

    def __init__(self) -> None:
        self._block: bytes | None = None
        self._version = ""
        self._header = Header([], 0, keep_alive=False, expects_continue=False)

    def read(self, head: bytes) -> tuple[str, str, str, Header]:
        """Method, target, version and the rest of ``head``: everything before the empty line. Raises as those do."""
        line, _, block = head.partition(b"\r\n")
        method, target, version = read_line(line)
        if block == self._block and version == self._version:
            return method, target, version, self._header
        header = read_header(version, block)
        if len(block) <= LONGEST_REMEMBERED:
            self._block, self._version, self._header = block, version, header
        return method, target, version, header


def is_spoilt(received: bytearray, seen: int) -> bool:
    """Whether a head that has not ended holds, after its first ``seen`` bytes, a NUL or a line feed without its CR.

    That is what a head can be refused for at once: whoever ends lines so may wait for ever for an end that we would
    see, too. Fields that are wrong otherwise are refused when the head is whole.
    """
    feeds = received.count(b"\n", seen)
    return feeds != received.count(b"\r\n", max(0, seen - 1)) or received.find(0, seen) != -1


def _not_a_path(method: str) -> FramingViolation:
    if method == "CONNECT":
        return FramingViolation("No tunnels are opened here.", status_code=405)
    return _malformed("The request target must be a path.")


def _read_fields(block: bytes) -> Fields:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        raise _malformed("A header field is malformed.") from None
    lines = text.split("\r\n") if text else []
    if len(lines) > MOST_HEADERS:
        raise FramingViolation(f"More than {MOST_HEADERS} header fields are not accepted.", status_code=431)
    if not _FIELDS.fullmatch(text):
        raise _malformed("A header field is malformed.")
    fields = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip("\t ")))
    return fields


def _first(name: str, names: list[str], fields: Fields) -> str | None:
    return fields[names.index(name)][1] if name in names else None


def _check_host(version: str, names: list[str], fields: Fields) -> None:
    host = _first("host", names, fields)
    if names.count("host") > 1 or (host is None and version == "1.1"):
        raise _malformed("Exactly one Host header is required.")
    if host is not None and not _HOST.fullmatch(host):
        raise _malformed("The Host header is malformed.")


def _length_of(version: str, names: list[str], fields: Fields) -> int:
    length = _first("content-length", names, fields)
    encoding = _first("transfer-encoding", names, fields)
    if length is None and encoding is None:
        return 0
    if names.count("content-length") + names.count("transfer-encoding") > 1:
        raise _malformed("At most one Content-Length is accepted, and no Transfer-Encoding beside it.")
    if length is not None:
        if not _LENGTH.fullmatch(length):
            raise _malformed("Content-Length must be a plain number.")
        return int(length)
    if version == "1.0" or str(encoding).lower() != "chunked":
        raise _malformed("This Transfer-Encoding is not accepted.")
    raise FramingViolation("Chunked bodies are not accepted: send a Content-Length.", status_code=411)


def _keeps_alive(version: str, names: list[str], fields: Fields) -> bool:
    if "connection" not in names:
        return version == "1.1"
    connection = ",".join(value.lower() for name, value in fields if name == "connection")
    options = [option.strip("\t ") for option in connection.split(",")]
    return "close" not in options and (version == "1.1" or "keep-alive" in options)


def _expects_continue(version: str, names: list[str], fields: Fields) -> bool:
    expectation = _first("expect", names, fields)
    if expectation is None or version == "1.0":  # where it means nothing (RFC 9110 §10.1.1)
        return False
    if expectation.lower() != "100-continue":
        raise ExpectationFailed(f"Unknown expectation: {expectation}")
    return True


def _malformed(sentence: str) -> FramingViolation:
    return FramingViolation(sentence, status_code=400)
