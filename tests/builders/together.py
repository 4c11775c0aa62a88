"""Many who ask for one thing each, all at once, and the statements this takes."""

from contextlib import contextmanager

import eventlet
from sqlalchemy import event

from shared.nameko_ext.loading import Loader


def together(ask, *things):
    """What each of so many greenlets got, or the fault it met."""

    def outcome_of(thing):
        try:
            return ask(thing)
        except Exception as fault:
            return fault

    return [thread.wait() for thread in [eventlet.spawn(outcome_of, thing) for thing in things]]


@contextmanager
def loading(scope, rows_of):
    """As a service's door has it: a function that loads rows, and the list of statements that were sent for it."""
    statements = []

    def load(keys):
        with scope.reading() as session:
            return rows_of(session, keys)

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    loader = Loader(load)
    event.listen(scope.engine, "before_cursor_execute", note)
    try:
        yield loader.get, statements
    finally:
        event.remove(scope.engine, "before_cursor_execute", note)
        loader.close()
