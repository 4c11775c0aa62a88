"""Writes the head of an answer in one go; Sanic's own way, field by field, took a tenth of a request's time."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_NO_BREAKS = {ord("\r"): None, ord("\n"): None, ord("\0"): None}


def head_of(status: int, fields: Iterable[tuple[str, object]]) -> bytes:
    """The status line and all fields, up to and with the empty line."""
    return _status_line(status) + fields_of(fields)


def fields_of(fields: Iterable[tuple[str, object]]) -> bytes:
    """All fields, up to and with the empty line.

    No value can add a field or end the head: where there is a line break or a NUL too many, every field loses its own.
    """
    lines = [f"{name}: {value}\r\n" for name, value in fields]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        text = "".join([f"{line.translate(_NO_BREAKS)}\r\n" for line in lines])
    return f"{text}\r\n".encode(errors="surrogateescape")


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n".encode()
