"""Sends what must go before a statement in the same message with it: every message is a wait for its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_INERROR
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

AHEAD = "kirana_ahead"
"""The execution option of a connection whose statements have something ahead of them."""


class Ahead:
    """What is ahead of a connection's statements: SQL that ends with a semicolon and holds no ``%``.

    The server runs a message's statements one by one, up to the first fault. ``begin`` is asked when there is a
    statement to send, the first time or each time, and ``go_on`` when there is another one; when these raise, nothing
    is sent.
    """

    def __init__(self, begin: Callable[[], str], *, each_time: bool, go_on: Callable[[], str] = lambda: "") -> None:
        self._begin = begin
        self._go_on = go_on
        self._has_begun = False
        self._waiting: list[list[str]] = []
        self.each_time = each_time

    def put(self, sql: str) -> Callable[[], bool]:
        """Have ``sql`` go ahead of the next statement. What is given says whether it was sent."""
        mine = [sql]
        self._waiting.append(mine)
        return lambda: all(mine is not each for each in self._waiting)

    def take(self) -> str:
        """All that is to be sent now, in order."""
        begin = self._begin() if self.each_time or not self._has_begun else self._go_on()
        put = "".join(sql for (sql,) in self._waiting)
        self._has_begun = True
        self._waiting.clear()
        return begin + put


def put_ahead(session: Session, sql: str) -> Callable[[], bool]:
    """Have ``sql`` run before the session's next statement; if there is none, it is not run at all.

    What is given says whether it was sent. On a session without :class:`Ahead` it runs now.
    """
    connection = session.connection()
    ahead = connection.get_execution_options().get(AHEAD)
    if isinstance(ahead, Ahead):
        return ahead.put(sql)
    connection.exec_driver_sql(sql)
    return lambda: True


def send_ahead(engine: Engine) -> None:
    """Let connections of ``engine`` with the option ``AHEAD`` send what is ahead of their statements."""
    event.listen(engine, "before_cursor_execute", _with_what_is_ahead, retval=True)


def _with_what_is_ahead(  # noqa: PLR0913, PLR0917  # SQLAlchemy calls it
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: FBT001
) -> tuple[str, Any]:
    del context
    ahead: Ahead | None = connection.get_execution_options().get(AHEAD)
    if ahead is None or _has_failed(cursor):
        return statement, parameters
    before = ahead.take()
    if before and executemany and not ahead.each_time:
        cursor.execute(before)
        return statement, parameters
    return before + statement, parameters


def _has_failed(cursor: Any) -> bool:
    """Whether a fault has ended the transaction: then the server does nothing but undo, and stops at all else."""
    return bool(cursor.connection.get_transaction_status() == TRANSACTION_STATUS_INERROR)
