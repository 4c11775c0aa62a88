"""Makes what the Prometheus operator reads of alarms and of who is told, from the files that containers read.

``PYTHONPATH=. python -m tests.builders.cluster_alarms`` writes kubernetes/overlays/prod/alarms.yaml: Kustomize cannot
put a plain file of rules into a resource, so there is a second text, but no second truth: a test holds it against the
first.
"""

import re
import sys
from functools import reduce

import yaml

from tests.builders.promql import ROOT, RULES

MADE = ROOT / "kubernetes" / "overlays" / "prod" / "alarms.yaml"
ALERTMANAGER = ROOT / "docker" / "alertmanager" / "alertmanager.yml"
NAMESPACE = "kirana"

ELSEWHERE = {
    "pg_up": "cnpg_collector_up",
    "pg_stat_activity_count": "cnpg_backends_total",
    "pg_settings_max_connections": 'cnpg_pg_settings_setting{name="max_connections"}',
    "pg_stat_database_xact_commit": "cnpg_pg_stat_database_xact_commit",
    "pg_stat_database_xact_rollback": "cnpg_pg_stat_database_xact_rollback",
}
"""What CloudNativePG's own exporter calls what postgres_exporter tells; tests/integration/kubernetes/operators.yml says
by whom. RabbitMQ's operator starts the same plugin as the containers, Redis's the same exporter."""

ONLY_IN_CONTAINERS = frozenset({"FrontDown", "CertificateExpires", "AlarmsUndelivered"})
"""What nobody in the namespace tells: there the gateway, its certificate and Alertmanager are the cluster's own."""

HEAD = """\
# Made by `PYTHONPATH=. python -m tests.builders.cluster_alarms` from docker/prometheus/rules and docker/alertmanager:
# change those. Each alarm says its namespace, by which the operator knows whose AlertmanagerConfig it is.
"""


def in_cluster(query):
    """The same question as the exporters there understand it."""
    return reduce(lambda text, name: re.sub(rf"\b{name}\b", ELSEWHERE[name], text), ELSEWHERE, query)


def made():
    """The whole file."""
    return HEAD + yaml.dump_all(
        [_rules(), _routes(yaml.safe_load(ALERTMANAGER.read_text()))],
        Dumper=_Plain,
        sort_keys=False,
        width=1_000,
        allow_unicode=True,
    )


def _rules():
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    for group in groups:
        group["rules"] = [_rule(rule) for rule in group["rules"] if rule.get("alert") not in ONLY_IN_CONTAINERS]
    return _resource("v1", "PrometheusRule", {"groups": groups})


def _rule(rule):
    rule = rule | {"expr": in_cluster(rule["expr"])}
    return rule | {"labels": {"namespace": NAMESPACE, **rule["labels"]}} if "alert" in rule else rule


def _routes(told):
    """Where mails go out by is said by the cluster's own Alertmanager."""
    rules = [
        {
            "sourceMatch": [_matcher(each) for each in rule["source_matchers"]],
            "targetMatch": [_matcher(each) for each in rule["target_matchers"]],
            **{key: rule[key] for key in ("equal",) if key in rule},
        }
        for rule in told["inhibit_rules"]
    ]
    receivers = [
        {"name": each["name"], "emailConfigs": [_mail(mail) for mail in each["email_configs"]]}
        for each in told["receivers"]
    ]
    return _resource(
        "v1alpha1",
        "AlertmanagerConfig",
        {"route": _route(told["route"]), "inhibitRules": rules, "receivers": receivers},
    )


def _route(route):
    plain = {_camel(key): value for key, value in route.items() if key not in {"routes", "matchers"}}
    if "matchers" in route:
        plain["matchers"] = [_matcher(each) for each in route["matchers"]]
    if "routes" in route:
        plain["routes"] = [_route(each) for each in route["routes"]]
    return plain


def _mail(mail):
    headers = [{"key": key, "value": value} for key, value in mail["headers"].items()]
    return {"to": mail["to"], "sendResolved": mail["send_resolved"], "headers": headers}


def _matcher(text):
    name, kind, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', text).groups()
    matcher = {"name": name, "value": value}
    return matcher if kind == "=" else matcher | {"matchType": kind}  # a bare `=` is no text to every reader of YAML


def _camel(word):
    first, *others = word.split("_")
    return first + "".join(each.capitalize() for each in others)


def _resource(version, kind, spec):
    return {
        "apiVersion": f"monitoring.coreos.com/{version}",
        "kind": kind,
        "metadata": {"name": "kirana"},
        "spec": spec,
    }


class _Plain(yaml.SafeDumper):
    """Texts of several lines stay so."""

    def ignore_aliases(self, _data):
        return True


_Plain.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)

if __name__ == "__main__":
    MADE.write_text(made())
    sys.stdout.write(f"{MADE.relative_to(ROOT)}\n")
