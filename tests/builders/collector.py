"""A collector of traces that keeps in memory what it is sent over OTLP/HTTP, or treats its senders badly."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Collected:
    """One span, with ids as log lines have them."""

    def __init__(self, service, resource, span):
        self.service, self.resource, self.name = service, resource, span.name
        self.kind = KINDS[span.kind]
        self.trace_id, self.span_id = span.trace_id.hex(), span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.began, self.ended = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = _plain(span.attributes)
        self.links = [link.span_id.hex() for link in span.links]
        self.has_failed = span.status.code == 2

    def __repr__(self):
        return f"<{self.service} {self.kind} {self.name} {self.span_id} under {self.parent_id or 'nobody'}>"


class Collector:
    """A context manager. ``status`` is what it answers; while it ``hangs`` it answers nothing."""

    def __init__(self):
        self.spans = []
        self.requests = Counter()
        self.headers = {}
        self.status = 200
        self.free = threading.Event()
        self.free.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, dict(self.headers), body)
                collector.free.wait(30)
                self.send_response(collector.status)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_fault):
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path, headers, body):
        self.requests[path] += 1
        self.headers = {name.lower(): value for name, value in headers.items()}
        if self.status != 200 or not self.free.is_set():
            return
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(told.resource.attributes)
            self.spans += [
                Collected(resource["service.name"], resource, span)
                for scope in told.scope_spans
                for span in scope.spans
            ]

    def __repr__(self):
        return f"{len(self.spans)} spans of {dict(self.requests)}: {self.spans}"

    def of_trace(self, trace_id):
        return [span for span in self.spans if span.trace_id == trace_id]

    def clear(self):
        self.spans = []


def _plain(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
