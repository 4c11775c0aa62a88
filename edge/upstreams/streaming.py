"""Passes an answer on while it comes: as fast as the client reads it, within the route's bounds, and never kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from sanic import HTTPResponse
from sanic.exceptions import SanicException
from sanic.http import Stage

from edge.upstreams.delivery import Delivered, cut, patience, request_of
from edge.upstreams.failures import Unusable
from edge.upstreams.headers import to_client

if TYPE_CHECKING:
    from sanic import Request

    from edge.upstreams.policy import HttpPolicy
    from edge.upstreams.upload import Upload
    from edge.upstreams.way import Lease

log = structlog.get_logger()

BODILESS = frozenset({204, 205, 304})
UNTYPED = "application/octet-stream"

_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, SanicException, Unusable)


def streamed(
    answer: aiohttp.ClientResponse, lease: Lease, policy: HttpPolicy, upload: Upload | None = None
) -> Streamed:
    """What was answered, to be passed on. Raises ``Unusable``, and then lets go of the answer and its place."""
    try:
        return Streamed(answer, lease, policy, upload)
    except Unusable:
        answer.close()
        lease.release()
        raise


class Streamed(Delivered):
    """What an instance answers. ``upload`` is the request's body, which may still be on its way there."""

    __slots__ = ("_answer", "_lease", "_policy", "_upload")

    def __init__(
        self, answer: aiohttp.ClientResponse, lease: Lease, policy: HttpPolicy, upload: Upload | None = None
    ) -> None:
        try:
            fields = to_client(answer.headers.items())
        except ValueError as fault:
            raise Unusable(str(fault)) from None
        super().__init__(status=answer.status)
        self.content_type = UNTYPED
        for name, value in fields:
            self.headers.add(name, value)
        self._answer, self._lease, self._policy, self._upload = answer, lease, policy, upload
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
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._policy.silence):
                async for part in self._answer.content.iter_any():
                    size += len(part)
                    if size > limit:
                        raise Unusable("the answer is too long to be kept")
                    parts.append(part)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unusable(f"the answer broke off: {fault}") from None
        finally:
            self._let_go()
        whole = HTTPResponse(b"".join(parts), status=self.status, content_type=self.content_type)
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
        end = loop.time() + self._policy.longest
        content = self._answer.content
        here = content.read_nowait()
        size = len(here)
        async with asyncio.timeout_at(min(end, loop.time() + self._policy.silence)) as clock:
            await self.send(here, end_stream=content.at_eof())  # a small answer is here already: it leaves in one piece
            async for part in content.iter_any():
                size += len(part)
                if size > self._policy.answer_limit:
                    raise Unusable("the answer is too long")
                await self.send(part, end_stream=False)
                clock.reschedule(min(end, loop.time() + self._policy.silence))
        if request.stream is not None and request.stream.stage is Stage.RESPONSE:
            await self.send(end_stream=True)

    async def _send_head(self, request: Request) -> None:
        """No body, whatever length the head tells. Sanic itself cannot end such an answer without a length."""
        await request.respond(self)
        if self.status in BODILESS:
            await self.send(end_stream=True)
            return
        await self.send(b"", end_stream=False)
        stream: Any = request.stream
        stream.response_func, stream.stage = None, Stage.IDLE

    def _let_go(self) -> None:
        """Give the connection and the place back; one that is not at its end, of either body, is of no more use."""
        if self._answer.content.at_eof() and not (self._upload and self._upload.left):
            self._answer.release()
        else:
            self._answer.close()
        self._lease.release()
