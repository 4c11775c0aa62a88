"""``kirana elastic setup`` as an operator meets it."""

import json

import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from tests.fakes.elastic_admin import ADMIN, elastic_admin


@pytest.fixture
def elastic(monkeypatch):
    with elastic_admin() as elastic:
        monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", elastic.url)
        monkeypatch.setenv("KIRANA_KIBANA_URL", elastic.url)
        monkeypatch.setenv("KIRANA_ELASTICSEARCH_ADMIN_PASSWORD", ADMIN[1])
        yield elastic


def kirana(*arguments):
    return CliRunner().invoke(build_app(), ["elastic", *arguments])


def test_it_says_of_each_thing_what_was_done(elastic):
    first, again = kirana("setup"), kirana("setup", "--only", "elasticsearch")

    assert first.exit_code == again.exit_code == 0, first.output
    assert "+ lifecycle kirana-logs" in first.output
    assert "✓ dashboard kirana-shop" in first.output
    assert "= lifecycle kirana-logs" in again.output
    assert "0 had to be written" in again.output


def test_scripts_get_json_on_stdout_and_nothing_else(elastic):
    done = kirana("setup", "--json", "--only", "elasticsearch")

    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert {"name": "index template logs-kirana", "done": "made"} in told["things"]


def test_a_fault_that_can_be_mended_is_one_of_the_commands_own(elastic, monkeypatch):
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_ADMIN_PASSWORD", "wrong")

    done = kirana("setup")

    assert type(done.exception).__name__ == "StackFault"
    assert "KIRANA_ELASTICSEARCH_ADMIN_PASSWORD_FILE" in done.exception.mend


def test_help_begins_with_what_to_type(elastic):
    assert "kirana elastic setup --only elasticsearch" in kirana("--help").output
