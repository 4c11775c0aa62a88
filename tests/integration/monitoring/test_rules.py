"""Rules and alarms, tried with Prometheus's own tools: each rings when it should and only then."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.builders.prometheus import CONFIGURATION
from tests.builders.promql import ROOT, RULES, alarms, everything_asked, metrics_beneath, metrics_of, recorded

CASES = sorted((Path(__file__).parent / "cases").glob("*.yml"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
PARTS = ("**Means**", "**Harm**", "**Look**", "**Do**")
SERIES = re.compile(r"^[\w:]+")
ALWAYS = "Watchdog"
"""The one alarm that has to ring whatever is: it is missed when it does not."""


def promtool(*words, cwd=None):
    """What it says, and whether it is content."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, cwd=cwd)
    return done.returncode == 0, done.stdout + done.stderr


def tried():
    """``(alarm, whether it must ring, names of the series given)`` of every case."""
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            given = {SERIES.match(each["series"])[0] for each in case.get("input_series", ())}
            for each in case["alert_rule_test"]:
                yield each["alertname"], bool(each["exp_alerts"]), given


def broken_rules(folder, mend):
    """The repository's alarms and cases in ``folder``, with every alarm changed; what is recorded is left out."""
    rules, cases = folder / "docker/prometheus/rules", folder / "tests/integration/monitoring/cases"
    rules.mkdir(parents=True)
    cases.mkdir(parents=True)
    for path in RULES:
        text = yaml.safe_load(path.read_text())
        for group in text["groups"]:
            group["rules"] = [mend(rule) for rule in group["rules"] if "alert" in rule]
        (rules / path.name).write_text(yaml.safe_dump(text))
    for path in CASES:
        shutil.copy(path, cases)
    return cases


def test_prometheus_reads_every_rule_and_finds_none_twice():
    content, said = promtool("check", "rules", *RULES)

    assert content, said
    assert "duplicate" not in said


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_every_alarm_rings_when_it_should_and_only_then(case):
    content, said = promtool("test", "rules", case)

    assert content, said


def test_every_alarm_is_tried_both_ways():
    both = {(alarm, rings) for alarm, rings, _ in tried()}

    assert both == {(alarm, rings) for alarm in alarms() for rings in (True, False)} - {(ALWAYS, False)}


def test_every_case_gives_its_alarm_what_it_looks_at():
    wanted = {
        name: {below for each in metrics_of(rule["expr"]) for below in metrics_beneath(each)}
        for name, rule in alarms().items()
    }

    for alarm, rings, given in tried():
        assert wanted[alarm] <= given, f"{alarm}, rings: {rings}"


def test_no_case_passes_when_no_alarm_rings_or_all_do(tmp_path):
    never = broken_rules(tmp_path / "never", lambda rule: rule | {"expr": "vector(1) > 2"})
    always = broken_rules(tmp_path / "always", lambda rule: rule | {"expr": "vector(1)", "for": "0s"})

    for folder, must_ring in ((never, True), (always, False)):
        failed = set()
        for path in sorted(folder.glob("*.yml")):
            _, said = promtool("test", "rules", path)
            failed |= set(re.findall(r"alertname:\s*(\w+)", said))
        assert failed >= {alarm for alarm, rings, _ in tried() if rings == must_ring}


def test_every_alarm_says_how_urgent_it_is_what_is_wrong_and_where_to_read_on():
    for name, rule in alarms().items():
        assert rule["labels"]["severity"] in ({"heartbeat"} if name == ALWAYS else {"page", "ticket"}), name
        assert rule["annotations"]["summary"].endswith("."), name
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_every_job_of_ours_but_the_shipper_is_missed_when_it_is_gone():
    ours = yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"][0]["dns_sd_configs"][0]["names"]
    jobs = {name.removesuffix("-green") for name in ours} - {"shipper"}  # it runs only where logs are shipped
    expression = alarms()["JobGone"]["expr"]

    assert set(re.findall(r'absent\(up{job="(\w+)"}\)', expression)) == jobs
    assert set(re.search(r'up{job=~"([^"]+)"}', expression)[1].split("|")) == jobs


def test_the_runbook_has_each_alarm_with_what_it_means_what_it_harms_where_to_look_and_what_to_do():
    sections = dict(SECTION.findall(RUNBOOK))

    assert sections.keys() == alarms().keys()
    for name, text in sections.items():
        assert [part for part in PARTS if part in text] == list(PARTS), name


def test_every_recorded_metric_is_asked_for_by_an_alarm_or_a_panel():
    asked = {name for where, name in everything_asked() if where != name}

    assert set(recorded()) - asked == set()
