"""Sanic without its router, middleware and signals: one handler answers everything, for the route table decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException

Handler = Callable[[Request], Awaitable[HTTPResponse | None]]


async def _nobody(request: Request) -> HTTPResponse | None:
    raise SanicException(f"{request.path} came before there was a handler.", status_code=503)


class Application(Sanic[Any, Any]):
    """``handler`` takes every request; what it gives is sent, and ``None`` means that it has sent the answer itself."""

    __slots__ = ("handler",)

    def __init__(self, name: str) -> None:
        super().__init__(name, configure_logging=False)
        self.handler: Handler = _nobody
        self.add_route(_nobody, "/")  # never asked for, but Sanic does not start without a route

    async def handle_request(self, request: Request) -> None:
        """Answer one request. What the handler raises goes to Sanic's own handling of exceptions."""
        stream: Any = request.stream
        try:
            response = await self.handler(request)
            if response is None:
                response = stream.response
            else:
                stream.respond(response)
                request.responded = True
            await response.send(end_stream=True)
        except Exception as fault:  # noqa: BLE001  # whatever it is, the client is told something
            await self.handle_exception(request, fault, run_middleware=False)
