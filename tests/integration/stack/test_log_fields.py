"""What the processes of a whole stack really log, against the templates that Elasticsearch is given."""

import fnmatch
import json
import urllib.error
import urllib.request
from pathlib import Path

import orjson

from shipper.records import UNPLACED, record_of
from shipper.setup.elasticsearch import STREAMS
from tests.builders import mapping
from tests.builders.waiting import eventually
from tests.stack_fixture import buys

ALWAYS = {
    "@timestamp": str,
    "message": str,
    "log.level": str,
    "service.name": str,
    "service.node.name": str,
    "service.environment": str,
    "service.version": str,
    "event.dataset": str,
    "process.pid": int,
    "ecs.version": str,
}

CANONICAL = ("http.request", "rpc.call", "event.handled")


def may_name_no_release(told):
    """What nginx answers itself comes from none of ours; a process that has ended may be of one that named none yet."""
    return told.get("message") == "front.answered" or not Path(f"/proc/{told.get('process.pid')}").exists()


def lines(stack):
    for path in sorted(stack.spool.glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield path, orjson.loads(line)


def ask(stack, path, **body):
    """What the edge answers, whatever it is."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{stack.edge_url}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def refused_login(stack):
    return ask(stack, "/api/token", username="nobody-of-that-name", password="no password of hers")


def test_every_field_of_every_line_is_mapped_and_fits(stack):
    buys(stack.home)
    ask(stack, "/api/nothing-of-that-name")
    eventually(
        lambda: {line["message"] for _, line in lines(stack)} >= set(CANONICAL),
        within=60,
        what="a line of each canonical kind",
    )
    unmapped, unfit, seen = set(), set(), set()
    for path, line in lines(stack):
        for name, value in mapping.fields_of(line):
            seen.add(name)
            field = mapping.mapped(name, value)
            if field is None:
                unmapped.add((path.name, name, type(value).__name__))
            elif not mapping.TAKEN[field["type"]](value):
                unfit.add((path.name, name, field["type"], repr(value)[:80]))

    assert unmapped == set()
    assert unfit == set()
    assert {"trace.id", "span.id", "user.id", "labels.parent_span_id", "labels.queue_ns", "labels.code"} <= seen


def test_a_refused_login_is_a_line_that_the_saved_search_finds(stack):
    """It looks for the code in the edge's canonical line."""
    eventually(lambda: refused_login(stack) == 401, within=60, what="the refusal of a login")

    eventually(
        lambda: (
            {"http.request", "rpc.call"}
            <= {
                line["message"]
                for _, line in lines(stack)
                if line.get("labels", {}).get("code") == "identity.invalid_credentials"
            }
        ),
        what="the code of a refused login in the lines of the edge and of the service",
    )


def test_every_line_says_who_wrote_it_when_and_into_which_stream_it_belongs(stack):
    incomplete = set()
    for path, line in lines(stack):
        told = dict(mapping.fields_of(line))
        incomplete |= {
            (path.name, line.get("message"), name)
            for name, kind in ALWAYS.items()
            if type(told.get(name)) is not kind and not (name == "service.version" and may_name_no_release(told))
        }
        sent, _ = record_of(orjson.dumps(line), "an id").wire.splitlines()
        stream = json.loads(sent)["create"]["_index"]
        if not fnmatch.fnmatchcase(stream, STREAMS) or stream.startswith(f"logs-{UNPLACED}-"):
            incomplete.add((path.name, line.get("message"), stream))

    assert incomplete == set()


def test_nothing_but_labels_is_left_to_a_rule(stack):
    """A rule makes a keyword of any text: well for a label, but a field of the schema has a type of its own."""
    by_rule = {
        name for _, line in lines(stack) for name, _ in mapping.fields_of(line) if name not in mapping.named_fields()
    }

    assert {name for name in by_rule if not name.startswith("labels.")} == set()
