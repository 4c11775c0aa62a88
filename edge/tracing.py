"""What the edge records of a request and of what it asks of others, while somebody collects spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.rpc.failures import CallFailure, RemoteRefusal
from shared.contracts.refusals import Internal
from shared.tracing import recording
from shared.tracing.recording import Recorded, Recorder, Value, part
from shared.tracing.sampling import decided
from shared.tracing.spans import Span, is_sampled, state_of

if TYPE_CHECKING:
    from edge.exchange import Exchange
    from edge.rpc.calls import CallContext, Rpc, RpcReply
    from shared.contracts.method import Method

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "_OTHER"
SERVER_FAULT = 500


def entered(exchange: Exchange, span: Span, recorder: Recorder) -> Span:
    """The request's span with the decision whether it is recorded: a stranger in front of us may not take it."""
    is_believed = span.caller is not None and exchange.equipment.proxies.trusts(exchange.request.ip)
    span = span if is_believed else decided(span, recorder)
    recording.here.set(span.traceparent)
    return span


def left(exchange: Exchange, span: Span, began_ns: int, status: int) -> None:
    """Record the request, if its trace is recorded."""
    recording.here.set(None)
    recorder = recording.active
    if recorder is None or not is_sampled(span.traceparent):
        return
    request, route = exchange.request, exchange.route
    method = request.method if request.method in METHODS else OTHER
    attributes: dict[str, Value] = {
        "http.request.method": method,
        "http.response.status_code": status,
        "url.path": request.path,
        "url.scheme": "http",
        "network.protocol.version": request.version,
        "kirana.request.id": exchange.request_id,
    }
    if route is not None:
        attributes["http.route"] = route.policy.path
    recorder.record(
        Recorded(
            name=f"{method} {route.policy.path}" if route is not None else method,
            kind="server",
            own=span.traceparent,
            parent=span.caller,
            began_ns=began_ns,
            attributes=attributes,
            fault=(exchange.problem or str(status)) if status >= SERVER_FAULT else None,
        )
    )


class TracedRpc:
    """An ``Rpc`` that records each call, with all that stands before its answer: breaker, bulkhead, lane and retry."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Call under a span of its own. Raises what the other raises."""
        with part(method.routing_key, {"rpc.system.name": "nameko", "rpc.method": method.routing_key}) as span:
            if span.own is None or context.traceparent is None:
                return await self._rpc.call(method, arguments, context=context)
            state = state_of(context.traceparent[36:52], context.tracestate)
            known = context.under(span.own, state)
            try:
                return await self._rpc.call(method, arguments, context=known)
            except RemoteRefusal as refusal:
                span.attributes["rpc.response.status_code"] = refusal.code
                span.fault = refusal.code if refusal.remote_type or refusal.code == Internal.code else ""
                raise
            except CallFailure as failure:
                span.attributes["kirana.reason"] = failure.reason
                raise
