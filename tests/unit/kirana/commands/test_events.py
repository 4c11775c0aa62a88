"""What ``kirana events`` refuses before it asks any broker."""

import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.stack.faults import NotRunning

NOBODY = {"KIRANA_AMQP_URL": "amqp://operator:hush@127.0.0.1:1/kirana", "COLUMNS": "200"}
COMMANDS = [("parked",), ("parked", "abcdef01"), ("replay", "--yes"), ("drop", "--yes")]


def events(*words):
    return CliRunner().invoke(build_app(), ["events", *words], env=NOBODY)


@pytest.mark.parametrize("service", ["s" * 242, "s" * 256, "cart.calls", "cart*", "größe", "cart\n", ""])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_no_service_can_be_called_is_refused_before_any_broker_is_asked(words, service):
    done = events(*words, "--service", service)

    assert done.exit_code == 2
    assert "no name of a service" in done.output


@pytest.mark.parametrize("service", ["s" * 241, "cart", "my_Service-2"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_a_service_may_be_called_is_asked_for(words, service):
    assert isinstance(events(*words, "--service", service).exception, NotRunning)
