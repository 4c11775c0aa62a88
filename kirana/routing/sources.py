"""Finds the text of a route table: in a file, or at an edge that serves by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx

from edge.faults import EX_CONFIG
from kirana.stack import state as stack_state
from kirana.stack.faults import NotRunning, StackFault
from kirana.stack.presence import load_running

ANSWER_SECONDS = 15.0
TOKEN = "KIRANA_TOKEN"  # noqa: S105 - where a token is, not one
_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _STALE = 200, 400, 401, 403, 412


class TableRefused(StackFault):
    """The edge does not take this table. ``faults`` are as it tells them: pointer, detail, line, route."""

    exit_code: ClassVar[int] = EX_CONFIG

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__("The edge refused the table; nothing was changed.")
        self.faults = faults


class TableUnread(StackFault):
    """There is no text of a table to be had there."""

    exit_code: ClassVar[int] = EX_CONFIG


def is_url(source: str) -> bool:
    """Whether this names an edge rather than a file."""
    return source.startswith(("http://", "https://"))


def text_of(source: str | None) -> str:
    """The text at a path or URL; ``None`` is the edge of the local stack. Raises :class:`StackFault`."""
    if source is None or is_url(source):
        return str(in_force(source)["text"])
    try:
        return Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TableUnread(f"{source} is no text in UTF-8.") from None
    except OSError as fault:
        raise TableUnread(f"{source} cannot be read: {fault.strerror or fault}.") from None


def in_force(url: str | None) -> dict[str, Any]:
    """What ``GET /admin/routes`` says there."""
    with _edge(url) as client:
        answer = client.get("/admin/routes")
        _check(answer, TableUnread)
        found: dict[str, Any] = answer.json()
        return found


def offer(text: str, *, dry_run: bool, if_version: str | None = None, url: str | None = None) -> dict[str, Any]:
    """Hand the table to an edge. Raises :class:`TableRefused` or another :class:`StackFault`."""
    asked = {"dry_run": "true"} if dry_run else {}
    asked |= {"if_version": if_version} if if_version else {}
    with _edge(url) as client:
        answer = client.put(
            "/admin/config", params=asked, content=text.encode(), headers={"Content-Type": "application/yaml"}
        )
    if answer.status_code == _BAD_REQUEST and answer.json().get("errors"):
        raise TableRefused(answer.json()["errors"])
    _check(answer)
    taken: dict[str, Any] = answer.json()
    return taken


@contextmanager
def _edge(url: str | None) -> Iterator[httpx.Client]:
    """A client with the right to administer: the local stack's own, elsewhere the token in ``KIRANA_TOKEN``."""
    stack = load_running() if url is None else None
    base = url or (stack.edge_url if stack else "")
    token = _admin_token(stack) if stack else os.environ.get(TOKEN, "")
    try:
        with httpx.Client(
            base_url=base, timeout=ANSWER_SECONDS, headers={"Authorization": f"Bearer {token}"}
        ) as client:
            yield client
    except httpx.HTTPError as fault:
        raise NotRunning(f"The edge at {base} cannot be reached: {fault}", mend="kirana status") from None


def _admin_token(stack: stack_state.StackState) -> str:
    who = {"username": stack.admin_username, "password": stack.admin_password}
    answer = httpx.post(f"{stack.edge_url}/api/token", json=who, timeout=ANSWER_SECONDS)
    _check(answer)
    return str(answer.json()["access"])


def _check(answer: httpx.Response, fault: type[StackFault] = StackFault) -> None:
    if answer.status_code == _OK:
        return
    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    what = said.get("detail") or f"HTTP status {answer.status_code}"
    needs_token = answer.status_code in {_UNAUTHORIZED, _FORBIDDEN}
    raise fault(
        f"The edge says: {what}",
        mend=f"export {TOKEN}=… with the scope edge:admin" if needs_token else "",
        cause="Somebody else has pushed a table meanwhile." if answer.status_code == _STALE else "",
    )
