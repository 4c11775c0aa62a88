"""Who is told of which alarm, and who is not, tried with Alertmanager's own tools."""

import re
import subprocess

import pytest
import yaml

from tests.builders.promql import ROOT, alarms

FILE = ROOT / "docker" / "alertmanager" / "alertmanager.yml"
CONFIGURATION = yaml.safe_load(FILE.read_text())


def amtool(*words):
    done = subprocess.run(["amtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def told(**labels):
    """The receivers of an alarm with these labels."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={FILE}", *pairs)


def test_alertmanager_reads_its_file():
    assert "SUCCESS" in amtool("check-config", str(FILE))


@pytest.mark.parametrize("severity", ["page", "ticket", "heartbeat"])
def test_an_alarm_reaches_who_its_urgency_names_and_nobody_else(severity):
    for name, rule in alarms().items():
        if rule["labels"]["severity"] == severity:
            assert told(alertname=name, **rule["labels"]) == severity


def test_an_alarm_of_no_urgency_is_not_lost():
    assert told(alertname="SomebodyElses") == "ticket"


def test_every_receiver_is_used_and_writes_to_somebody():
    used = {CONFIGURATION["route"]["receiver"], *(each["receiver"] for each in CONFIGURATION["route"]["routes"])}

    assert {each["name"] for each in CONFIGURATION["receivers"]} == used
    for each in CONFIGURATION["receivers"]:
        assert len(each) > 1, each["name"]


def test_only_alarms_that_exist_silence_others_and_only_those_that_carry_the_same_labels():
    names = alarms()
    for rule in CONFIGURATION["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            (matcher,) = rule[side]
            wanted = matcher.split('"')[1]
            found = [name for name in names if _matches(wanted, name)]
            assert found, matcher
            for name in found:
                for label in rule.get("equal", ()):
                    said = names[name]["labels"].keys() | _labels_in(names[name]["expr"])
                    assert label in said, f"{name} has no {label}"


def test_an_alarm_never_silences_itself():
    for rule in CONFIGURATION["inhibit_rules"]:
        source, target = (rule[side][0].split('"')[1] for side in ("source_matchers", "target_matchers"))
        assert not [name for name in alarms() if _matches(source, name) and _matches(target, name)]


def test_no_secret_stands_in_the_file():
    words = FILE.read_text().lower()

    assert not [word for word in ("password:", "api_key:", "token:", "api_url:", "secret:") if word in words]


def _matches(pattern, name):
    return re.fullmatch(pattern, name) is not None


def _labels_in(expression):
    kept = {label for found in re.findall(r"by \(([^)]*)\)", expression) for label in found.split(", ")}
    level = re.match(r"(\w+):", expression)  # a recorded metric says by which labels it stands
    kept |= set(level[1].split("_")) if level else set()
    return kept or {"job", "instance"}
