"""HTTP/1.1 as strictly as it is written: Sanic's own parser forgives too much, and its clocks restart on every byte."""

from __future__ import annotations

from asyncio import Future
from math import inf
from time import monotonic
from typing import Any

from sanic.exceptions import RequestTimeout, SanicException, ServiceUnavailable
from sanic.http import Stage
from sanic.server.protocols.http_protocol import HttpProtocol

from edge.addresses import network_of
from edge.brief import brief
from edge.framing import HeadReader, is_spoilt
from edge.http1 import HANDLER, HEAD_END, IDLE, REQUEST, RESPONSE, StrictHttp
from edge.reception import reception_of

LEAVING_SECONDS = 2.0
"""While the worker drains, nobody is waited for longer than this: neither for a request nor for the rest of one."""

TELLING_SECONDS = 1.0
"""So long a client that was told why it is cut off may go on sending: who is cut off at once may not hear it."""

SHORTEST_PAUSE = 0.01
MOST_BUFFERED = 65_536


class StrictProtocol(HttpProtocol):
    """Deadlines instead of idle timers, and a bound on connections."""

    HTTP_CLASS = StrictHttp
    __slots__ = ("_is_new", "_is_paused", "_more", "_unread_since", "heads", "holder", "keeps_alive", "reception")

    def __init__(self, *, app: Any, **more: Any) -> None:
        super().__init__(app=app, **more)
        self.reception = reception_of(app)
        self.holder = ""
        self.heads = HeadReader()
        self.keeps_alive = bool(app.config.KEEP_ALIVE)
        self._is_new = True
        self._is_paused = False
        self._more: Future[None] | None = None
        self._unread_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection, if there is room or somebody slow can be asked to leave."""
        if self.reception.open_connections >= self.reception.most and not self.reception.make_room():
            transport.write(_full())
            transport.close()
            return
        self._time = monotonic()
        super().connection_made(transport)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        self.holder = network_of(self.conn_info.client_ip if self.conn_info else "")
        self.reception.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, unless the connection was turned away. What runs for it is cancelled, and answers nobody."""
        if self.conn_info is None:
            return
        self.reception.farewell(self)
        if self.http is not None:
            self.http.stage = Stage.FAILED
            self.http.request_body = None  # or its task would go on waiting for the rest of a body that cannot come
        super().connection_lost(exc)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def data_received(self, data: bytes) -> None:
        """Take in bytes. Only the first ones of a request set its clock: a byte a second keeps nothing alive.

        What is left of a body after its answer still belongs to that request. A head wakes its task only when it is
        whole, or can be refused, so that a dripping one costs next to nothing.
        """
        if self.conn_info is None:
            return
        http = self.http
        if http is None or (http.stage is IDLE and not _has_unread_body(http)):
            self._time = monotonic()
            if http is not None and self._is_turned_away(data):
                return
        buffer = self.recv_buffer
        buffer += data
        if len(buffer) >= MOST_BUFFERED and self.transport and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        if http is None or http.stage is not REQUEST or _is_enough(http, len(data)):
            more = self._more
            if more is not None and not more.done():
                more.set_result(None)

    def _is_turned_away(self, data: bytes) -> bool:
        """Whether a request that came alone and whole was answered at the door; the connection's task sleeps on."""
        doorkeeper = self.reception.doorkeeper
        if doorkeeper is None or not doorkeeper.is_watched or self.reception.is_draining:
            return False
        if self.http is None or not self.http.keep_alive:  # what still comes belongs to a request that was answered
            return False
        end = data.find(HEAD_END)
        is_alone = end == len(data) - len(HEAD_END) and not self.recv_buffer
        if not is_alone or end >= StrictHttp.HEADER_MAX_SIZE or self._unread_since is not None or not self.transport:
            return False
        try:
            method, target, _, header = self.heads.read(data[:end])
        except SanicException:  # it will be told so in the usual way
            return False
        answer = doorkeeper.turn_away(method, target, header)
        if answer is None:
            return False
        self.took_request()
        self.transport.write(answer)
        return True

    async def receive_more(self) -> None:
        """Wait for bytes: once for every request, so not by way of an event, as Sanic does in three times the time."""
        if self._is_paused and self.transport:
            self._is_paused = False
            self.transport.resume_reading()
        self._more = self.loop.create_future()
        await self._more

    def took_request(self) -> None:
        """A whole head has come."""
        self._is_new = False
        self.reception.requests += 1

    def pause_writing(self) -> None:
        """The client does not read what it asked for: from now on its time runs."""
        self._unread_since = monotonic()
        super().pause_writing()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def resume_writing(self) -> None:
        """Nearly all of it was read."""
        self._unread_since = None
        super().resume_writing()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    @property
    def waits_since(self) -> float | None:
        """Since when the worker waits for this client: for a request, the rest of one, or that it reads."""
        if self._unread_since is not None:
            return self._unread_since
        http = self.http
        if http is None or http.stage in (IDLE, REQUEST) or _has_unread_body(http):
            return self._time
        return None

    def leave(self) -> None:
        """Give up the place now: told so, if the client can be expected to listen."""
        self.connections.discard(self)
        if self._unread_since is not None:
            self.abort()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
            return
        if self.http is not None and self.http.stage is not IDLE and self.transport:
            self.transport.write(_full())
        self.close()

    def close_if_idle(self) -> bool:
        """Sanic asks when the worker stops. Who has just come may have sent a first request already."""
        if self._is_new and monotonic() - self._time < LEAVING_SECONDS:
            return False
        return bool(super().close_if_idle())

    def check_timeouts(self) -> None:
        """End what is overdue, else look again when it could be.

        Whatever begins in between is not overdue before then: so ten thousand who wait are no work while they wait.
        """
        http = self.http
        if self._task is None or http is None:
            return
        now = monotonic()
        unread_left = inf if self._unread_since is None else self._unread_since + self.response_timeout - now
        left = self._time + self._patience(http) - now
        if unread_left < 0:
            self.reception.cut["unread"] += 1
            self.abort()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        elif left >= 0:
            soonest = min(left, unread_left, self._waiting_timeout, self.response_timeout, self.keep_alive_timeout)
            self._look_again(max(SHORTEST_PAUSE, soonest))
        elif http.stage is REQUEST:
            self.reception.cut["late"] += 1
            self._give_up_on_request()
        elif http.stage is IDLE and self._is_new and not self.reception.is_draining:
            self._give_up_on_request()
        else:
            if _is_awaited(http):
                self._look_again(TELLING_SECONDS)
            http.exception = _fault_of(http)
            self._task.cancel()

    def _look_again(self, seconds: float) -> None:
        self._callback_check_timeouts = self.loop.call_later(seconds, self.check_timeouts)

    def hurry(self) -> None:
        """Look now, for the time may have become shorter."""
        if self._callback_check_timeouts:
            self._callback_check_timeouts.cancel()
        self.check_timeouts()

    def end_soon(self) -> None:
        """The last answer of this connection is being given: whoever does not hang up is not waited for any longer."""
        self.loop.call_later(TELLING_SECONDS, self._end)

    def _end(self) -> None:
        if self.http is not None and self.http.stage is RESPONSE:  # it is still being given
            self.end_soon()
        else:
            self.hurry()

    def _give_up_on_request(self) -> None:
        """Slow clients may be many: what they get must cost little.

        Who was served before, or comes while the worker leaves, is closed without a word instead: a client that sends
        its request in that very moment would take the word for its answer, where it could just try elsewhere.
        """
        if self.transport:
            self.transport.write(brief("request.timeout", "The request did not arrive in time."))
        self.close()

    @property
    def _waiting_timeout(self) -> float:
        usual: float = self.request_timeout
        return min(usual, LEAVING_SECONDS) if self.reception.is_draining else usual

    def _patience(self, http: Any) -> float:
        """How many seconds this stage may take."""
        if _is_awaited(http):
            has_last_answer = http.stage is IDLE and not http.keep_alive
            return TELLING_SECONDS if has_last_answer else self._waiting_timeout
        if http.stage is IDLE and self._is_new:
            return self._waiting_timeout
        seconds: float = self.keep_alive_timeout if http.stage is IDLE else self.response_timeout
        return seconds


def _is_awaited(http: Any) -> bool:
    """Whether we wait for a request, or the rest of one."""
    return http.stage is REQUEST or (http.stage in (HANDLER, IDLE) and _has_unread_body(http))


def _fault_of(http: Any) -> SanicException | None:
    """What a stage that took too long ends with; where an answer was given, or nothing was asked, with nothing.

    A body that stays away is the client's fault (408), not ours (503).
    """
    if _is_awaited(http):
        return RequestTimeout("The request did not arrive in time.", quiet=True)
    return None if http.stage is IDLE else ServiceUnavailable("The answer took too long.", quiet=True)


def _full() -> bytes:
    return brief("service.unavailable", "All connections are taken.")


def _is_enough(http: Any, fresh: int) -> bool:
    """Whether the head in the buffer, of whose bytes the last ``fresh`` are new, is whole, too large or spoilt."""
    buffer = http.recv_buffer
    size, seen = len(buffer), len(buffer) - fresh
    return bool(size > http.HEADER_MAX_SIZE or buffer.find(HEAD_END, max(0, seen - 3)) != -1 or is_spoilt(buffer, seen))


def _has_unread_body(http: Any) -> bool:
    """Whether the request's body has not been read to its end. Before the first request there is no such attribute."""
    return bool(getattr(http, "request_body", None))
