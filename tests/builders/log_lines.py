"""Lines of a log as processes write them: each says only what matters."""

import json
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
_SPECIAL = {"where": "order-1", "request": "r-1", "span": None, "parent": None, "level": "info", "labels": {}}


def a_line(at, action, **fields):
    """``at`` in seconds after ten. Besides what ``_SPECIAL`` names, any field by its dotted name."""
    told = {name: fields.pop(name, value) for name, value in _SPECIAL.items()}
    where = told["where"]
    line = {
        "@timestamp": (BEGIN + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "message": action,
        "log": {"level": told["level"]},
        "service": {"name": where.rpartition("-")[0], "node": {"name": where}},
        "event": {"action": action},
        "labels": dict(told["labels"]),
    }
    if told["request"] is not None:
        line["http"] = {"request": {"id": told["request"]}}
    if told["span"] is not None:
        line |= {"span": {"id": told["span"]}, "trace": {"id": "0" * 31 + "1"}}
    if told["parent"] is not None:
        line["labels"]["parent_span_id"] = told["parent"]
    for name, value in fields.items():
        _put(line, name.split("."), value)
    return line


def served(at, status=200, *, took=1.0, **more):
    """The edge's last line of a request that began at ``at - took``."""
    fields = {
        "where": "edge-1",
        "span": "e",
        "http.request.method": "POST",
        "url.path": "/api/orders",
        "http.response.status_code": status,
        "event.duration": int(took * 1e9),
        "event.outcome": "failure" if status >= 500 else "success",
    }
    return a_line(at, "http.request", **fields | more)


def ran(at, method, *, took=0.5, code=None, **more):
    """A service's last line of a run that the edge, or ``parent``, asked for."""
    labels = {"method": method, **({"code": code} if code else {}), **more.pop("labels", {})}
    fields = {
        "where": f"{method.partition('.')[0]}-1",
        "span": method,
        "parent": "e",
        "labels": labels,
        "event.duration": int(took * 1e9),
        "event.outcome": "failure" if code else "success",
    }
    return a_line(at, "rpc.call", **fields | more)


def handled(at, type_, *, fault=None, **more):
    """A service's last line of an event."""
    fields = {
        "where": "notification-1",
        "span": "v",
        "labels": {"type": type_, **({"fault": fault} if fault else {})},
        "event.duration": 10_000_000,
        "event.outcome": "failure" if fault else "success",
    }
    return a_line(at, "event.handled", **fields | more)


def without_spans(lines):
    """As processes wrote them before they knew of spans."""
    for line in lines:
        line.pop("span", None)
        line["labels"].pop("parent_span_id", None)
    return lines


def write(spool, *lines):
    """Each to its process's file, in the order given."""
    for line in lines:
        with (spool / f"{line['service']['node']['name']}.jsonl").open("a") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _put(line, names, value):
    *inner, last = names
    for name in inner:
        line = line.setdefault(name, {})
    line[last] = value
