"""The doors of the demo service."""

from __future__ import annotations

import os
import time
from pathlib import Path

import eventlet
from sqlalchemy import text

from kirana_demo import contract
from shared.nameko_ext import HealthReport, Outbox, Remote, Ticker, Transactions, on_event, rpc
from shared.nameko_ext.call import current


class Service:
    name = "demo"
    transactions = Transactions()
    outbox = Outbox()
    stocker = Remote("stocker")
    nobody = Remote("nobody")
    health = HealthReport("database")

    @rpc(contract.ECHO)
    def echo(self, request):
        call = current()
        return contract.Echoed(
            text=request.text * request.times,
            user_id=call.user_id,
            request_id=call.request_id,
            call_id_stack=list(call.call_id_stack),
        )

    @rpc(contract.SLEEP)
    def sleep(self, request):
        _note(request, "start")
        eventlet.sleep(request.seconds)
        _note(request, "end")
        return contract.Slept(pid=os.getpid())

    @rpc(contract.BREAK)
    def break_it(self, request):
        if request.how == "timeout":
            with eventlet.Timeout(0.05):
                eventlet.sleep(1)
        if request.how == "exit":
            raise SystemExit(3)
        if request.how == "unwritable":
            return object()
        if request.how == "statement":
            with self.transactions.reading() as session:
                session.execute(text("SELECT pg_sleep(10)"))
        if request.how == "write":
            with self.transactions.reading() as session:
                session.execute(text("INSERT INTO things (name) VALUES ('never')"))
        raise ValueError("a secret from inside")

    @rpc(contract.ADD_THING)
    def add_thing(self, request):
        return self.transactions.once(lambda session: self._add(session, request))

    @rpc(contract.ADD_SLOWLY)
    def add_slowly(self, request):
        with self.transactions.writing() as session:
            return self._add(session, request)

    @rpc(contract.COUNT_THINGS)
    def count_things(self, request):
        with self.transactions.reading() as session:
            row = session.execute(
                text(
                    "SELECT (SELECT count(*) FROM things WHERE name = :name),"
                    " (SELECT count(*) FROM handled WHERE name = :name), (SELECT count(*) FROM ticks),"
                    " (SELECT count(*) FROM outbox WHERE published_at IS NULL)"
                ),
                {"name": request.name},
            ).one()
        return contract.Counted(things=row[0], handled=row[1], ticks=row[2], unpublished=row[3])

    @rpc(contract.ASK)
    def ask(self, request):
        remote = self.stocker if request.service == "stocker" else self.nobody
        return remote.call(contract.SHOUT, contract.Echo(text=request.text))

    @rpc(contract.METHODS.CHECK_HEALTH)
    def check_health(self, request):  # noqa: ARG002
        return self.health.report()

    @on_event(contract.THING_ADDED)
    def on_thing_added(self, event, thing):  # noqa: ARG002
        with self.transactions.writing() as session:
            session.execute(text("INSERT INTO handled (name) VALUES (:name)"), {"name": thing.name})
        if thing.name.startswith("unlucky"):
            raise ValueError("the handler fails after its effect")

    @Ticker(seconds=0.2)
    def tick(self):
        with self.transactions.writing() as session:
            session.execute(text("INSERT INTO ticks DEFAULT VALUES"))
        with eventlet.Timeout(0.01):
            eventlet.sleep(1)

    def _add(self, session, request):
        number = session.execute(
            text("INSERT INTO things (name) VALUES (:name) RETURNING id"), {"name": request.name}
        ).scalar_one()
        eventlet.sleep(request.seconds)
        if request.name.startswith("refused"):
            raise contract.ThingRefused(name=request.name)
        self.outbox.add(
            session, contract.THING_ADDED, aggregate_id=request.name, data=contract.ThingAdded(name=request.name)
        )
        return contract.Thing(id=number, name=request.name)


def _note(request, what):
    if request.journal:
        with Path(request.journal).open("a") as journal:
            journal.write(f"{what} {request.marker} {os.getpid()} {time.time()}\n")
