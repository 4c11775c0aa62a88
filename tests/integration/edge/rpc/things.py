"""Changes and reads of the demo service under faults, and the ledger that compares what was said with what is so."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import psycopg2

from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.failures import NotExecuted, OutcomeUnknown, RemoteRefusal
from tests.builders.waiting import eventually_async
from tests.contract.conftest import Running
from tests.integration.edge.rpc.calling import Caller, method

CONTRACT = Path(__file__).parents[3] / "contract"
ADD_THING = method("add_thing", service="demo", mutating=True)
ECHO = method("echo", service="demo")
LATENESS = 0.5
STEP_SECONDS = 0.05
BACK_WITHIN = 60.0
"""What was killed in the last fault may have to start anew."""


class Said(Enum):
    """What a caller knows after a call."""

    ANSWERED = "answered"
    NOT_EXECUTED = "not executed"
    UNKNOWN = "unknown"


REFUSALS = {
    "deadline.passed": Said.NOT_EXECUTED,
    "service.unavailable": Said.NOT_EXECUTED,
    "outcome.unknown": Said.UNKNOWN,
    "idempotency.still_running": Said.UNKNOWN,
}
"""What the service's own words mean; any other refusal of these calls is a fault."""


@dataclass
class Change:
    """One operation, whatever number of times it was asked for."""

    name: str
    seconds: float
    said: Said = Said.UNKNOWN
    why: str = ""
    answer: Any = None
    until: float = 0.0
    history: list[str] = field(default_factory=list)


class Lateness:
    """How late this process came to everything: while it is frozen no call can end, whatever the edge does."""

    def __init__(self) -> None:
        self._before = 0.0
        self._due = math.inf

    async def measure(self) -> None:
        """Until it is cancelled. A call that hangs leaves the loop idle, and so counts for nothing here."""
        while True:
            self._due = time.monotonic() + STEP_SECONDS
            await asyncio.sleep(STEP_SECONDS)
            self._before = self.seconds

    @property
    def seconds(self) -> float:
        """In all, with what is not over yet."""
        return self._before + max(0.0, time.monotonic() - self._due)


async def said_of(
    call: Awaitable[RpcReply], *, patience: float, lateness: Lateness
) -> tuple[Said, str, RpcReply | None]:
    """What a call came to, which it did in time."""
    began, late_before = time.monotonic(), lateness.seconds
    reply, said, why = None, Said.ANSWERED, ""
    try:
        reply = await call
    except NotExecuted as failure:
        said, why = Said.NOT_EXECUTED, failure.reason
    except OutcomeUnknown as failure:
        said, why = Said.UNKNOWN, failure.reason
    except RemoteRefusal as refusal:
        said, why = REFUSALS.get(refusal.code), f"{refusal.code} {refusal.remote_type}".strip()
    took, late = time.monotonic() - began, lateness.seconds - late_before
    assert said is not None, f"refused: {why}"
    assert took - late < patience + LATENESS, f"{took:.2f} s of {patience}, {late:.2f} s of them frozen: {why}"
    return said, why, reply


@dataclass
class Ledger:
    """Everything asked through one edge, and what was said of it."""

    caller: Caller
    database: str
    chance: Random
    changes: list[Change] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    lateness: Lateness = field(default_factory=Lateness)
    reads: int = 0

    async def change(self, *, seconds: float = 0.0, patience: float = 4.0) -> Change:
        """Ask once for a new thing."""
        change = Change(f"thing-{uuid.uuid4()}", seconds)
        self.changes.append(change)
        await self._ask(change, patience)
        return change

    async def read(self, *, patience: float = 4.0) -> Said:
        """Ask for an echo; no answer may be another's."""
        self.reads += 1
        text = f"word-{uuid.uuid4()}"
        said, why, reply = await self._call(ECHO, {"text": text}, patience=patience)
        assert why not in REFUSALS, f"a read was refused: {why}"
        if reply is not None:
            assert reply.result["text"] == text, "somebody else's answer"
        self.tally[f"read {said.value} {why}".strip()] += 1
        return said

    async def crowd(
        self,
        *,
        changes: int = 20,
        reads: int = 5,
        longest: float = 0.3,
        patience: float = 4.0,
        within: float = 0.0,
    ) -> None:
        """Many at once, which is one frame; or each at its own moment ``within`` so many seconds."""

        async def at_its_moment(call: Awaitable[Any]) -> None:
            await asyncio.sleep(self.chance.uniform(0, within))
            await call

        await asyncio.gather(
            *(
                at_its_moment(self.change(seconds=self.chance.uniform(0, longest), patience=patience))
                for _ in range(changes)
            ),
            *(at_its_moment(self.read(patience=patience)) for _ in range(reads)),
        )

    async def stragglers(self, *, changes: int, patience: tuple[float, float]) -> None:
        """Many at once, who wait for longer or shorter."""
        await asyncio.gather(*(self.change(patience=self.chance.uniform(*patience)) for _ in range(changes)))

    async def trickle(self, stop: asyncio.Event, *, hands: int = 6, patience: float = 4.0) -> None:
        """A steady load of reads and changes by so many hands."""

        async def one_hand() -> None:
            while not stop.is_set():
                if self.chance.random() < 0.5:
                    said = await self.read(patience=patience)
                else:
                    said = (await self.change(seconds=self.chance.uniform(0, 0.03), patience=patience)).said
                await asyncio.sleep(0.02 if said is Said.ANSWERED else 0.2)

        await asyncio.gather(*(one_hand() for _ in range(hands)))

    async def answers(self) -> bool:
        """Whether a read is answered now."""
        return await self.read(patience=1.0) is Said.ANSWERED

    async def settle(self) -> None:
        """When the dust has settled: what was said is true, a repetition completes it once, and nothing is left."""
        await self._nobody_works_any_more()
        rows = self.rows()
        self.made = Counter(change.history[0] for change in self.changes if change.name in rows)
        for change in self.changes:
            count = len(rows.get(change.name, ()))
            assert count <= 1, f"{change} was made {count} times"
            if change.said is Said.ANSWERED:
                assert rows.get(change.name) == [change.answer["id"]], f"{change} is not in the data"
            assert not (change.said is Said.NOT_EXECUTED and count), f"a lie: {change} was made"
        await eventually_async(self.answers, within=BACK_WITHIN, what="an answer after the faults")
        await asyncio.gather(*(self._complete(change) for change in self.changes))
        rows = self.rows()
        for change in self.changes:
            assert rows.get(change.name) == [change.answer["id"]], f"{change} after its repetition"
        await eventually_async(self._is_idle, within=3, what="an end of all waiting")

    async def events_arrive(self) -> None:
        """What was made has been told of, too, and each event has had its effect once."""
        await eventually_async(lambda: self._in("handled").keys() == self.rows().keys(), what="the events")
        twice = [name for name, numbers in self._in("handled").items() if len(numbers) > 1]
        assert not twice, f"the events of {twice} were handled twice"

    def rows(self) -> dict[str, list[int]]:
        """The ids of the things in the database, by name."""
        return self._in("things")

    def _in(self, table: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        with closing(psycopg2.connect(self.database)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT name, id FROM {table} WHERE name = ANY(%s)", ([c.name for c in self.changes],))
            for name, number in cursor.fetchall():
                found.setdefault(name, []).append(number)
        return found

    def counted(self) -> str:
        """For people: how often what was said, and why."""
        first = Counter(change.history[0] for change in self.changes if change.history)
        made = f"made {dict(self.made)}"
        return f"{len(self.changes)} changes, {self.reads} reads: {dict(first)}, {made}, {dict(self.tally)}"

    async def _nobody_works_any_more(self) -> None:
        """No run of a call without an answer can commit after its deadline."""
        ends = [change.until for change in self.changes if change.said is not Said.ANSWERED]
        await asyncio.sleep(max(0.0, max(ends, default=0.0) + 0.3 - time.monotonic()))

    async def _ask(self, change: Change, patience: float) -> RpcReply | None:
        change.until = time.monotonic() + patience
        change.said, change.why, reply = await self._call(
            ADD_THING, {"name": change.name, "seconds": change.seconds}, patience=patience, operation_id=change.name
        )
        change.history.append(f"{change.said.value} {change.why}".strip())
        if reply is not None:
            assert reply.result["name"] == change.name, "somebody else's answer"
            assert change.answer in (None, reply.result), f"{change} was answered in two ways"
            change.answer = reply.result
        return reply

    async def _complete(self, change: Change) -> None:
        """Repeat the operation, as a client does, until it is answered."""
        was_answered, give_up_at = change.answer is not None, time.monotonic() + BACK_WITHIN
        while True:
            reply = await self._ask(change, 4.0)
            if reply is not None:
                break
            assert time.monotonic() < give_up_at, f"{change} has still no answer"
            await asyncio.sleep(0.2)
        assert reply.replayed or not was_answered, f"{change} ran again"

    async def _call(
        self, called: Any, arguments: dict[str, Any], *, patience: float, operation_id: str | None = None
    ) -> tuple[Said, str, RpcReply | None]:
        context = CallContext(
            request_id=str(uuid.uuid4()),
            deadline=Deadline.after(patience),
            route="test",
            operation_id=operation_id,
            fingerprint="same",
        )
        call = self.caller.guard.call(called, arguments, context=context)
        return await said_of(call, patience=patience, lateness=self.lateness)

    def _is_idle(self) -> bool:
        machine = self.caller.client.lanes["demo"].coalescer.machine
        post = self.caller.guard.states()["demo"]
        left = (machine.waiting, machine.in_flight, machine.slots_taken, post["in_flight"], post["waiting"])
        return len(self.caller.pending) == 0 and left == (0, 0, 0, 0, 0)


class Demo:
    """The demo service's processes over one database."""

    def __init__(self, database: str, logs: Path) -> None:
        self.database = database
        self._logs = logs
        self._started: list[Running] = []
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "kirana_demo", "migrate"],
            env={**os.environ, "PYTHONPATH": str(CONTRACT), "KIRANA_DATABASE_URL": database},
            check=True,
            cwd="/",
        )

    def start(self, amqp_url: str, name: str, **more: str) -> Running:
        environment = {"KIRANA_AMQP_URL": amqp_url, "KIRANA_DATABASE_URL": self.database, "KIRANA_INSTANCE": name}
        running = Running(["-m", "kirana_demo"], {**environment, **more}, self._logs / f"{name}.log")
        self._started.append(running)
        return running

    def living(self) -> Iterator[Running]:
        return (running for running in self._started if running.lives)
