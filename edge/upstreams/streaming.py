"""Passes an answer on while it comes: as fast as the client reads it, within the route's bounds, and never kept."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from sanic import HTTPResponse
from sanic.exceptions import SanicException
from sanic.http import Stage

from edge.upstreams.delivery import LOOK_SECONDS, Delivered, cut, patience, request_of
from edge.upstreams.failures import Unusable
from edge.upstreams.forwarding import NOT_WELL
from edge.upstreams.headers import to_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanic import Request

    from edge.upstreams.policy import HttpPolicy
    from edge.upstreams.upload import Upload
    from edge.upstreams.way import Lease

log = structlog.get_logger()

BODILESS = frozenset({204, 205, 304})
UNTYPED = "application/octet-stream"


class Disallowed(Exception):
    """Its caller's session is over."""


_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, SanicException, Unusable, Disallowed)


def streamed(
    answer: aiohttp.ClientResponse,
    lease: Lease,
    policy: HttpPolicy,
    upload: Upload | None = None,
    *,
    has_ended: Callable[[], bool] = lambda: False,
) -> Streamed:
    """What was answered, to be passed on until ``has_ended`` says that its caller's session is over.

    Raises ``Unusable``, and then lets go of the answer and its place.
    """
    try:
        return Streamed(answer, lease, policy, upload, has_ended=has_ended)
    except Unusable:
        answer.close()
        lease.judge(is_well=answer.status not in NOT_WELL)
        lease.release()
        raise


class Streamed(Delivered):
    """What an instance answers. ``upload`` is the request's body, which may still be on its way there."""

    __slots__ = (
        "_answer", "_awaits_instance", "_begun", "_end", "_has_ended", "_is_well", "_lease", "_policy", "_upload",
    )  # fmt: skip

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        lease: Lease,
        policy: HttpPolicy,
        upload: Upload | None = None,
        *,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answer = answer
        try:
            fields = to_client(answer.headers.items())
        except ValueError as fault:
            raise Unusable(str(fault)) from None
        super().__init__(status=answer.status)
        self.content_type = UNTYPED
        for name, value in fields:
            self.headers.add(name, value)
        self._lease, self._policy, self._upload = lease, policy, upload
        self._has_ended, self._begun, self._end = has_ended, b"", math.inf
        self._is_well, self._awaits_instance = True, False
        length = self.length
        if (answer.content.total_bytes if length is None else length) > policy.answer_limit:
            raise Unusable("the answer is too long")
        if length is not None and answer.status not in BODILESS:
            self.headers["content-length"] = str(length)
        if upload is not None and upload.left:
            self.headers["connection"] = "close"

    @property
    def length(self) -> int | None:
        """How many bytes the body has, if the instance says so."""
        declared = self._answer.headers.get("content-length", "")
        return int(declared) if declared.isdecimal() else None

    async def gathered(self, limit: int) -> HTTPResponse:
        """The same answer with its body in memory. Raises ``Unusable`` when it has more than ``limit`` bytes."""
        is_whole = await self._begin(limit)
        self._let_go()
        if not is_whole:
            raise Unusable("the answer is too long to be had whole")
        return self._whole()

    async def kept(self, limit: int) -> HTTPResponse:
        """As :meth:`gathered`; but one that has more than ``limit`` bytes stays one that is still to be delivered."""
        if (self.length or 0) > limit or not await self._begin(limit):
            return self
        self._let_go()
        return self._whole()

    async def _begin(self, limit: int) -> bool:
        """Read until there is no more or it is too much; whether it is the whole. Raises ``Unusable``."""
        parts = [self._begun]
        size = len(self._begun)
        try:
            async with asyncio.timeout(self._policy.silence):
                while size <= limit and (part := await self._read()):
                    size += len(part)
                    parts.append(part)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            self._blame(fault)
            self._let_go()
            raise Unusable(f"the answer broke off: {fault}") from None
        except BaseException:
            self._let_go()
            raise
        self._begun = b"".join(parts)
        return size <= limit

    def _whole(self) -> HTTPResponse:
        whole = HTTPResponse(self._begun, status=self.status, content_type=self.content_type)
        whole.headers.extend(self.headers)
        return whole

    async def deliver(self, request: Request) -> None:
        """Send head and body. An answer that breaks off ends the connection, so that nobody takes it for whole."""
        stream: Any = request.stream
        try:
            with patience(request, answer=self._policy.silence):
                if self.status in BODILESS or request.method == "HEAD":
                    await self._send_head(request)
                else:
                    await self._send_all(request)
        except _BROKEN as fault:
            self._blame(fault)
            known = request_of(self)
            log.warning("upstream.answer.cut", instance_id=self._lease.member.id, reason=repr(fault)[:200], **known)
            cut(request)
        except BaseException:
            stream.stage = Stage.FAILED
            raise
        finally:
            self._let_go()
        if self._upload is not None and self._upload.left and not request.transport.is_closing():
            await self._upload.discard()

    async def _send_all(self, request: Request) -> None:
        """Part by part. Nothing is read before the part before it has found its way into the client's buffer."""
        await request.respond(self)
        loop = asyncio.get_running_loop()
        look_at = loop.time() + LOOK_SECONDS
        self._end = end = loop.time() + self._policy.longest
        content = self._answer.content
        here, self._begun = self._begun + content.read_nowait(), b""
        size = self._within_bounds(len(here))
        async with asyncio.timeout_at(min(end, loop.time() + self._policy.silence)) as clock:
            await self.send(here, end_stream=content.at_eof())  # a small answer is here already: it leaves in one piece
            while part := await self._read():
                size = self._within_bounds(size + len(part))
                if (now := loop.time()) >= look_at:
                    self._look()
                    look_at = now + LOOK_SECONDS
                await self.send(part, end_stream=False)
                clock.reschedule(min(end, loop.time() + self._policy.silence))
        if request.stream is not None and request.stream.stage is Stage.RESPONSE:
            await self.send(end_stream=True)

    async def _read(self) -> bytes:
        """The next part; nothing at the end. Whatever goes wrong here, it was the instance that was waited for."""
        self._awaits_instance = True
        part = await self._answer.content.readany()
        self._awaits_instance = False
        return part

    def _within_bounds(self, size: int) -> int:
        if size > self._policy.answer_limit:
            raise Unusable("the answer is too long")
        return size

    def _look(self) -> None:
        if self._has_ended():
            raise Disallowed("the caller's session is over")

    async def _send_head(self, request: Request) -> None:
        """No body, whatever length the head tells. Sanic itself cannot end such an answer without a length."""
        await request.respond(self)
        if self.status in BODILESS:
            await self.send(end_stream=True)
            return
        await self.send(b"", end_stream=False)
        stream: Any = request.stream
        stream.response_func, stream.stage = None, Stage.IDLE

    def __del__(self) -> None:
        """Nobody wants it: its connection would stay open until somebody looks for what hangs together in circles."""
        self._answer.close()

    def _blame(self, fault: Exception) -> None:
        """Note whether the instance broke off: in doubt, it did not.

        A client that ends its own body early lets the answer fail, too. And who has not said when the end will come
        may have nothing to say for a while.
        """
        if self._upload is not None and self._upload.left:
            return
        if isinstance(fault, TimeoutError):
            is_late = asyncio.get_running_loop().time() >= self._end
            self._is_well = not self._awaits_instance or is_late or self.length is None
        else:
            self._is_well = not isinstance(fault, aiohttp.ClientError)

    def _let_go(self) -> None:
        """Give the connection and the place back; one that is not at its end, of either body, is of no more use."""
        if self._answer.status not in NOT_WELL:
            self._lease.judge(is_well=self._is_well)
        if self._answer.content.at_eof() and not (self._upload and self._upload.left):
            self._answer.release()
        else:
            self._answer.close()
        self._lease.release()
