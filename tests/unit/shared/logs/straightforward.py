"""The recipe of a line written down without any thought of speed: what the fast one is held against."""

import json
import re
import sys
from datetime import UTC, datetime

import orjson

from shared.logs.ecs import ECS_VERSION, MAX_TEXT, error_fields
from shared.logs.redaction import REDACTED, scrub

SECRET_PARTS = ("password", "passphrase", "passwd", "secret", "token", "authorization", "cookie", "email", "phone")
SECRET_NAMES = {"access", "refresh", "api_key", "private_key", "credentials", "dsn"}
OBJECTS = {
    "client", "container", "data_stream", "destination", "ecs", "error", "event", "host", "http", "log", "network",
    "observer", "orchestrator", "organization", "process", "server", "service", "source", "span",
    "tls", "trace", "transaction", "url", "user", "user_agent",
}  # fmt: skip
WHOLE_NUMBERS = {
    "event.duration", "event.sequence", "event.severity", "http.response.status_code", "http.request.body.bytes",
    "http.response.body.bytes", "http.request.bytes", "http.response.bytes", "process.pid", "client.port",
    "server.port", "url.port", "log.origin.file.line",
}  # fmt: skip
LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical", "msg": "info", "log": "info"}


class StraightforwardRenderer:
    def __init__(self, constant):
        self.constant = constant

    def __call__(self, logger, method, event):
        fields = dict(event)
        action = str(fields.pop("event", ""))
        head = {"event.action": action, "log.level": LEVELS.get(method, method)}
        if getattr(logger, "name", None):
            head["log.logger"] = logger.name
        try:
            return self.line(action, head, fields)
        except Exception as fault:
            return lost(head, fault)

    def line(self, action, head, fields):
        found = exc_info(fields.pop("exc_info", None))
        if found:
            fields.update({name: scrub(text) for name, text in error_fields(found).items()})
        bare = {name: fields.pop(name) for name in {"tags"} & fields.keys()}
        clean = {
            name: REDACTED if is_secret(name) and value is not None else redact(value) for name, value in fields.items()
        }
        document = {
            "@timestamp": now(),
            "message": scrub(action),
            **to_ecs({**clean, **head, **self.constant, "ecs.version": ECS_VERSION}),
            **bare,
        }
        try:
            return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
        except TypeError:
            return json.dumps(document, default=str, skipkeys=True).encode("ascii") + b"\n"


def timeless(line):
    """The line with the moment replaced, which no two lines share."""
    found, times = re.subn(rb'^(\{"@timestamp": ?)"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"', rb'\1"now"', line, count=1)
    assert times == 1
    return found


def now():
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def lost(head, fault):
    document = {
        "@timestamp": now(),
        "message": "log.line_lost",
        "log": {"level": "error"},
        "ecs": {"version": ECS_VERSION},
        "event": {"action": "log.line_lost"},
        "error": {"type": type(fault).__name__},
        "labels": {"lost": ascii(head["event.action"] or head.get("log.logger"))[:200]},
    }
    return json.dumps(document).encode("ascii") + b"\n"


def exc_info(given):
    match given:
        case None | False:
            return None
        case BaseException():
            return (type(given), given, given.__traceback__)
        case (type() as kind, error, trace):
            return (kind, error, trace)
    found = sys.exc_info()
    return found if found[0] is not None else None


def is_secret(name):
    last = name.rpartition(".")[2].lower().replace("-", "_")
    return last in SECRET_NAMES or any(part in last for part in SECRET_PARTS)


def redact(value, depth=0):
    match value:
        case str():
            return scrub(value)
        case dict() if depth < 8:
            return {
                key: REDACTED if is_secret(str(key)) and part is not None else redact(part, depth + 1)
                for key, part in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth < 8:
            return [redact(part, depth + 1) for part in value]
        case dict() | list() | tuple() | set() | frozenset():
            return REDACTED
    return value


def to_ecs(fields):
    document, labels = {}, {}
    for name, value in fields.items():
        if value is None:
            continue
        top, dot, rest = name.partition(".")
        if top == "labels" and dot:
            labels[flat(rest)] = as_label(value)
        elif not dot or top not in OBJECTS or not place(document, name, value):
            labels[flat(name)] = as_label(value)
    return {**document, "labels": labels} if labels else document


def place(document, name, value):
    *parents, leaf = name.split(".")
    if not leaf or not all(parents):
        return False
    if name in WHOLE_NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        value = int(value)
    elif isinstance(value, dict):
        return False
    at = document
    for parent in parents:
        at = at.setdefault(parent, {})
        if not isinstance(at, dict):
            return False
    if isinstance(at.get(leaf), dict):
        return False
    at[leaf] = value if isinstance(value, str | int | float | bool | list) else str(value)
    return True


def flat(name):
    return name.replace(".", "_") or "unnamed"


def as_label(value):
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict | list | tuple):
        try:
            return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()[:MAX_TEXT]
        except TypeError:
            return repr(value)[:MAX_TEXT]
    return str(value)[:MAX_TEXT]
