"""Elasticsearch and Kibana as their administrator meets them: what is put is kept, and told in their own shapes."""

import base64
import email
import email.policy
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

ADMIN = ("elastic", "the administrator's")


class Elastic:
    """State of both. ``changes`` are the requests that changed something; ``ailing`` answers come before any other."""

    def __init__(self):
        self.changes = []
        self.ailing = []
        self.things = {}
        self.passwords = {ADMIN[0]: ADMIN[1], "kibana_system": "not known to anybody"}
        self.roles = {ADMIN[0]: ["superuser"], "kibana_system": ["kibana_system"]}
        self.streams = []
        self.is_secure = True
        self.refused_import = False

    def answer(self, method, path, user, headers, body):
        if self.ailing:
            return self.ailing.pop(0)
        if self.is_secure and user not in self.passwords.items():
            return 401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}, "status": 401}
        path, _, query = path.partition("?")
        if path.startswith("/api/"):
            return self._of_kibana(method, path, query, headers, body)
        return self._of_elasticsearch(method, path, query, user, json.loads(body) if body else None)

    def _of_elasticsearch(self, method, path, query, user, body):
        if method == "GET":
            return self._told_by_elasticsearch(path, user)
        if self.is_secure and user[0] != ADMIN[0]:
            return 403, {"error": {"type": "security_exception"}, "status": 403}
        self.changes.append(f"{method} {path}" + (f"?{query}" if query else ""))
        match method, path.strip("/").split("/"):
            case "PUT", ["_security", "user", name]:
                self.passwords[name], self.roles[name] = body["password"], body["roles"]
            case "POST", ["_security", "user", name, "_password"]:
                self.passwords[name] = body["password"]
            case "PUT", _:
                self.things[path] = body
            case "POST", [stream, "_rollover"]:
                assert stream in self.streams, "there is no such stream"
        return 200, {"acknowledged": True}

    def _told_by_elasticsearch(self, path, user):
        match path.strip("/").split("/"):
            case ["_cluster", "health"]:
                return 200, {"cluster_name": "kirana", "status": "yellow", "timed_out": False}
            case ["_security", "_authenticate"]:
                return 200, {"username": user[0], "roles": self.roles[user[0]], "enabled": True}
            case ["_data_stream", _]:
                return 200, {"data_streams": [{"name": name, "generation": 1} for name in self.streams]}
            case [kind, *_, name] if path in self.things:
                return 200, _told(kind, name, self.things[path])
        return 404, {"error": {"type": "resource_not_found_exception"}, "status": 404}

    def _of_kibana(self, method, path, query, headers, body):
        if method == "GET" and path == "/api/status":
            return 200, {"name": "kibana", "status": {"overall": {"level": "available"}}}
        if "kbn-xsrf" not in headers:
            return 400, {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}
        self.changes.append(f"{method} {path}" + (f"?{query}" if query else ""))
        if path == "/api/saved_objects/_import":
            lines = _uploaded(headers, body)
            if self.refused_import:
                return 200, {"success": False, "successCount": 0, "errors": [{"id": lines[0]["id"], "type": "search"}]}
            self.things |= {f"{line['type']}:{line['id']}": line for line in lines}
            return 200, {"success": True, "successCount": len(lines)}
        self.things[path] = json.loads(body)
        return (204, None) if path.startswith("/api/security/role/") else (200, {"data": {}})


def _told(kind, name, body):
    """How Elasticsearch tells of a thing that was put; it keeps ``_meta`` and ``metadata`` as they came."""
    match kind:
        case "_ilm":
            return {name: {"version": 1, "modified_date": "2026-01-01T00:00:00.000Z", "policy": body["policy"]}}
        case "_component_template":
            return {"component_templates": [{"name": name, "component_template": body}]}
        case "_index_template":
            return {"index_templates": [{"name": name, "index_template": body}]}
        case "_security":
            return {name: {"cluster": [], "applications": [], "run_as": [], "transient_metadata": {}} | body}
    raise AssertionError(kind)


def _uploaded(headers, body):
    """The lines of the one file of a multipart form."""
    message = email.message_from_bytes(
        b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    (part,) = message.iter_parts()
    assert part.get_filename().endswith(".ndjson"), "Kibana takes no other name"
    return [json.loads(line) for line in part.get_payload(decode=True).splitlines()]


def _user(headers):
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return tuple(base64.b64decode(text).decode().split(":", 1)) if scheme == "Basic" else None


@contextmanager
def elastic_admin(encrypted=None):
    """Both, at one address: their paths do not meet. Gives ``url`` and ``state``; ``encrypted`` by a context."""
    state, lock = Elastic(), threading.Lock()
    scheme = "https" if encrypted else "http"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one segment, or each answer waits for the acknowledgement of its head

        def log_message(self, *_):
            pass

        def _answer(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            with lock:
                status, said = state.answer(self.command, self.path, _user(headers), headers, body)
            text = b"" if said is None else said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            if not re.match(r"/api/", self.path):
                self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - names of http.server

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if encrypted is not None:
        server.socket = encrypted.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield SimpleNamespace(url=f"{scheme}://localhost:{server.server_port}", state=state)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
