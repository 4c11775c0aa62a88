"""The doors of the demo service."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import eventlet
import msgspec
from sqlalchemy import text

from kirana_demo import contract
from shared.contracts.refusals import Refusal
from shared.messaging.call import current, serving
from shared.nameko_ext import HealthReport, Outbox, Remote, RemoteService, Ticker, Transactions, on_event, rpc
from shared.nameko_ext.remote import PATIENCE
from shared.values.identifiers import new_id


class Remotes(Remote):
    """Any service by its name."""

    def get_dependency(self, worker_ctx):  # noqa: ARG002
        return lambda name: RemoteService(name, self.asking)


class Service:
    name = "demo"
    transactions = Transactions()
    outbox = Outbox()
    remotes = Remotes("any")
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
        patience = PATIENCE if request.patience is None else timedelta(seconds=request.patience)
        return self.remotes(request.service).call(contract.SHOUT, contract.Echo(text=request.text), patience=patience)

    @rpc(contract.ASK_TOGETHER)
    def ask_together(self, request):
        remote, patience = self.remotes(request.service), timedelta(seconds=request.patience)
        threads = [eventlet.spawn(_told, current(), remote, onward, patience) for onward in request.calls]
        return [thread.wait() for thread in threads]

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
        _note(request, "start")
        eventlet.sleep(request.seconds)
        if request.name.startswith("refused"):
            raise contract.ThingRefused(name=request.name)
        self.outbox.add(
            session, contract.THING_ADDED, aggregate_id=request.name, data=contract.ThingAdded(name=request.name)
        )
        return contract.Thing(id=number, name=request.name)


def _told(call, remote, onward, patience):
    while onward.sign and not Path(onward.sign).exists():
        eventlet.sleep(0.05)
    began = time.monotonic()
    answer = code = details = None
    try:
        with serving(call), eventlet.Timeout(onward.cut):
            method, asked = _meant(onward)
            named = {"operation_id": f"demo/{new_id()}"} if method.mutating else {}
            answer = msgspec.to_builtins(remote.call(method, asked, patience=patience, **named))
    except Refusal as refusal:
        code, details = refusal.code, refusal.details
    except eventlet.Timeout:
        code = "cut"
    return contract.Told(answer=answer, code=code, details=details, seconds=time.monotonic() - began)


def _meant(onward):
    match onward.method:
        case "sleep":
            return contract.SLEEP, contract.Sleep(seconds=onward.seconds)
        case "echo":
            return contract.ECHO, contract.Echo(text=onward.text)
        case "add_thing":
            return contract.ADD_THING, contract.AddThing(name=onward.text, seconds=onward.seconds)
        case "note":
            return contract.NOTE, contract.Echo(text=onward.text)
    return contract.SHOUT, contract.Echo(text=onward.text)


def _note(request, what):
    if request.journal:
        with Path(request.journal).open("a") as journal:
            journal.write(f"{what} {request.marker} {os.getpid()} {time.time()}\n")
