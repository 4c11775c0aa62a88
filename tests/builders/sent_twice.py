"""Sends one change twice through the door of a service, and looks at all that its database holds in between."""

from typing import NamedTuple

import msgspec
from sqlalchemy import inspect, text

from shared.contracts.refusals import Refusal
from shared.messaging.call import Call, serving
from shared.values.identifiers import new_id


class Outcome(NamedTuple):
    said: object
    replayed: bool


class Doors:
    """A service without its container: what Nameko would inject is given here."""

    def __init__(self, service, **dependencies):
        self._service = service()
        for name, dependency in dependencies.items():
            setattr(self._service, name, dependency)

    def call(self, method, request, **known):
        """What it answers, as it would travel."""
        call = Call(request_id=new_id(), method=method.routing_key, **known)
        with serving(call):
            try:
                said = msgspec.to_builtins(getattr(self._service, method.name)(request))
            except Refusal as refusal:
                said = refusal.to_wire()
        return Outcome(said, call.marks.replayed)

    def told(self, method, request):
        """Its answer, in the contract's type, to somebody who asks once."""
        return msgspec.convert(self.call(method, request).said, method.answer)


def everything_in(engine):
    """Every row of every table, with the transaction that wrote it: who writes the same again is seen, too."""
    with engine.connect() as connection:
        return {
            table: connection.execute(text(f'SELECT xmin::text, kept::text FROM "{table}" kept ORDER BY 1, 2')).all()
            for table in inspect(connection).get_table_names()
        }
