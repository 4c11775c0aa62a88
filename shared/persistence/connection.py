"""A connection that ends the transactions it is told to begin, and can tell without asking that the server hung up."""

from __future__ import annotations

import sqlalchemy
from psycopg2 import InternalError, OperationalError
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as _Connection  # noqa: N812  # a class, whatever its case


class Connection(_Connection):  # type: ignore[misc]  # psycopg2 carries no types
    """In autocommit mode psycopg2 sends no BEGIN, so ours may travel with the first statement of a transaction."""

    def commit(self) -> None:
        """End the transaction; without one, nothing is sent. Raises ``InternalError`` when a fault had ended it."""
        self._end("COMMIT") if self.autocommit else super().commit()

    def rollback(self) -> None:
        """Undo the transaction; without one, nothing is sent."""
        self._end("ROLLBACK") if self.autocommit else super().rollback()

    def _end(self, how: str) -> None:
        if not self.closed and self.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            return
        with self.cursor() as cursor:
            cursor.execute(how)
            if cursor.statusmessage != how:
                raise InternalError(f"{how} was answered with {cursor.statusmessage}")


def begin_nothing_by_itself(connection: sqlalchemy.Connection) -> None:
    """Until it is back in its pool, BEGIN is left to whoever uses it. SQLAlchemy's isolation level would cost a SET."""
    connection.connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]  # psycopg2's own member


def has_hung_up(connection: _Connection) -> bool:
    """Whether an idle connection is known to be dead: what the server said last lies in the socket, and then its end.

    Costs two system calls and no message; a server that vanished without a word is not noticed.
    """
    try:
        connection.poll()  # may still read the server's farewell …
        connection.poll()  # … behind which is the end
    except OperationalError:
        return True
    return bool(connection.closed)
