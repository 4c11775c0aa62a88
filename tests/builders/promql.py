"""Which metrics and labels a query names, and every query that Kirana asks Prometheus."""

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "docker" / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))

_ASIDE = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''  # texts
    r"|\{[^{}]*\}|\[[^\]]*\]"  # labels and spans of time
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)"
)
_NAME = re.compile(r"(?<![\w:.])([A-Za-z_:][\w:]*)\b(?!\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})
_VARIABLE = re.compile(r"label_values\(([\w:]+), (\w+)\)")
_SELECTOR = re.compile(r'([A-Za-z_:][\w:]*)\s*\{((?:[^{}"]|"(?:\\.|[^"\\])*")*)\}')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*("(?:\\.|[^"\\])*")')


class Matcher(NamedTuple):
    """What a query asks of a metric's label."""

    metric: str
    label: str
    operator: str
    value: str

    @property
    def alternatives(self):
        """Patterns of which each is named for itself; one for anything where a dashboard's variable stands."""
        if "$" in self.value:
            return [".*"]
        if "~" not in self.operator:
            return [re.escape(self.value)]
        return [self.value] if "(" in self.value else self.value.split("|")


def metrics_of(query):
    """The names in a query that are neither functions nor words of the language."""
    text = query
    while (less := _ASIDE.sub(" ", text)) != text:  # texts hold brackets, so what is within goes first
        text = less
    return {name for name in _NAME.findall(text) if name.lower() not in _WORDS}


def matchers_of(query):
    """Every :class:`Matcher` in a query."""
    return [
        Matcher(metric, label, operator, json.loads(value))
        for metric, within in _SELECTOR.findall(query)
        for label, operator, value in _MATCHER.findall(within)
    ]


def grouped_by(query):
    """The labels by which a query puts series together or beside each other."""
    return {label for within in _GROUPING.findall(query) for label in re.findall(r"\w+", within)}


@cache
def rules():
    """All rules, recorded ones and alarms."""
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@cache
def alarms():
    """By name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def recorded():
    """By name."""
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def panel_queries():
    """``(where, query)`` of every dashboard."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"]


def everything_asked():
    """``(where, metric)`` for each metric that a rule, a panel or a dashboard's variable names."""
    for rule in rules():
        for name in metrics_of(rule["expr"]):
            yield rule.get("alert") or rule["record"], name
    for where, query in panel_queries():
        for name in metrics_of(query):
            yield where, name
    for where, (metric, _) in _variables():
        yield where, metric


def everything_matched():
    """``(where, matcher)`` for each label by which a rule, a panel or a dashboard's variable chooses."""
    for rule in rules():
        for matcher in matchers_of(rule["expr"]):
            yield rule.get("alert") or rule["record"], matcher
    for where, query in panel_queries():
        for matcher in matchers_of(query):
            yield where, matcher
    for where, (metric, label) in _variables():
        yield where, Matcher(metric, label, "=~", ".+")


def _variables():
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            yield f"{path.stem}: {variable['name']}", _VARIABLE.search(variable["query"]["query"]).groups()


def metrics_beneath(name, seen=()):
    """What a recorded metric is made of, down to those that processes tell; any other is made of itself."""
    rule = recorded().get(name)
    if rule is None or name in seen:
        return {name}
    return {below for each in metrics_of(rule["expr"]) for below in metrics_beneath(each, (*seen, name))}
