"""Both ways against Nameko as it comes from the index: its clients call us, we call its services."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

from tests.builders.waiting import eventually
from tests.contract.caller import Caller

NAMEKO = ("-c", "from nameko.cli import cli; cli()")
CALLS, EVENTS = "rpc-stocker", "evt-demo-thing.added--stocker.hear"
PATCHED = "import eventlet; eventlet.monkey_patch()\n"


@pytest.fixture(scope="module")
def stocker(start, rabbit, demo):
    running = start(*NAMEKO, "run", "--define", f"AMQP_URI={rabbit.url}", "kirana_demo.stock_service", name="stocker")
    eventually(lambda: _is_consumed(rabbit, CALLS, EVENTS), what="the stock service", despite=rabbit.not_yet)
    return running


def _is_consumed(rabbit, *queues: str) -> bool:
    """A queue is bound before it is consumed, and there before it is bound."""
    with closing(rabbit.connect()) as connection:
        caller = Caller(connection)
        return all(caller.consumers(queue) for queue in queues)


def _python(code: str, rabbit) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PATCHED + textwrap.dedent(code)],
        env={**os.environ, "AMQP": rabbit.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HEADERS = {
    "nameko.request_id": "request-1",
    "nameko.user_id": "user-1",
    "nameko.call_id_stack": ["standalone_rpc_client.0.0"],
}
ASKED = {
    "an answer": ("echo", b'{"args": [], "kwargs": {"text": "gr\xc3\xb6\xc3\x9fer", "times": 2}}'),
    "positional arguments": ("echo", b'{"args": ["a", 3], "kwargs": {}}'),
    "no such method": ("nothing", b'{"args": [], "kwargs": {}}'),
    "no arguments": ("echo", b'{"args": []}'),
}
THEIRS = {"delivery_mode": 2, "priority": 0}
OURS = {"delivery_mode": 1}
"""A reply is of no use to anybody once its broker has gone: Nameko's are kept on a disk. No priority is the lowest."""


@pytest.mark.parametrize("name", ASKED)
def test_one_request_gets_one_reply_from_stock_nameko_and_from_us(caller, stocker, name):
    method, body = ASKED[name]
    sent = [caller.send(f"{service}.{method}", body, headers=HEADERS) for service in ("stocker", "demo")]

    golden, ours = caller.wait_for_all(sent)

    assert _told(ours, "demo", sent[1]) == _told(golden, "stocker", sent[0])
    assert ours.properties.items() - OURS.items() == golden.properties.items() - THEIRS.items()


def _told(reply, service, correlation_id):
    """The body, without the names in it that nobody else can have."""
    assert reply.properties.pop("correlation_id") == correlation_id
    assert not reply.properties.pop("application_headers", None)
    written = json.dumps(reply.body, sort_keys=True)
    return re.sub(rf"{service}\.(\w+)\.[-0-9a-f]+", r"<service>.\1.<id>", written)


def test_wrong_arguments_are_stock_namekos_fault_in_our_words(caller, stocker):
    sent = [caller.send(f"{service}.echo", b'{"args": [], "kwargs": {}}') for service in ("stocker", "demo")]

    golden, ours = (reply.body["error"] for reply in caller.wait_for_all(sent))

    assert ours.keys() == golden.keys()
    assert (ours["exc_type"], ours["exc_path"]) == (golden["exc_type"], golden["exc_path"])
    assert ours["exc_args"] == [ours["value"]]
    assert golden["exc_args"] == [golden["value"]]


def test_a_stock_client_calls_us(rabbit, demo):
    out = _python(
        """
        import os
        from nameko import config
        from nameko.standalone.rpc import ServiceRpcClient
        from nameko.exceptions import IncorrectSignature, MethodNotFound, RemoteError
        with config.patch({"AMQP_URI": os.environ["AMQP"]}):
            with ServiceRpcClient("demo", context_data={"user_id": "u-1"}, timeout=10) as demo:
                print(demo.echo(text="a", times=2)["text"], demo.echo("b")["user_id"])
                for attempt in (lambda: demo.echo(), lambda: demo.nothing(), lambda: demo.echo(text=1),
                                lambda: demo.break_it("crash")):
                    try:
                        attempt()
                    except (IncorrectSignature, MethodNotFound) as fault:
                        print(type(fault).__name__)
                    except RemoteError as fault:
                        print(fault.exc_type, fault.value)
        """,
        rabbit,
    )

    assert out.splitlines() == [
        "aa u-1",
        "IncorrectSignature",
        "MethodNotFound",
        "InvalidRequest The request has fields that cannot be accepted.",
        "Internal Something went wrong on our side. The request id finds the details in the logs.",
    ]


def test_the_nameko_shell_calls_us(rabbit, demo):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *NAMEKO, "shell", "--define", f"AMQP_URI={rabbit.url}"],
        input='print(n.rpc.demo.echo(text="from the shell"))\n',
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )

    assert "'text': 'from the shell'" in done.stdout, done.stderr


def test_we_call_a_stock_service(caller, stocker):
    reply = caller.call("demo.ask", service="stocker", text="hallo")

    assert reply.result["text"] == "HALLO"


def test_a_stock_service_calls_us(caller, stocker):
    assert caller.call("stocker.relay", text="round").result["text"] == "round"


def test_a_fault_of_a_stock_service_is_internal_here(caller, stocker):
    assert caller.call("demo.ask", service="stocker", text="fail").code == "internal"


def test_a_silent_service_is_an_unknown_outcome_within_the_patience(caller, stocker):
    assert caller.call("demo.ask", service="stocker", text="hang", patience=None).code == "outcome.unknown"


def test_a_service_that_never_was_is_unavailable_at_once(caller, demo):
    assert caller.call("demo.ask", service="nobody", text="x").code == "service.unavailable"


def test_a_stock_event_handler_hears_our_events(caller, stocker):
    caller.call("demo.add_thing", name="for the stock service")

    eventually(lambda: caller.depth(EVENTS) == 0, what="the stock handler")
    assert stocker.lives
