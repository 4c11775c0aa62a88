"""Makes the ConfigMaps that Grafana's sidecar reads in a cluster, from the dashboards that containers read.

``PYTHONPATH=. python -m tests.builders.cluster_dashboards`` writes kubernetes/overlays/prod/dashboards.yaml; a test
holds it against docker/grafana/dashboards, as another does for the alarms.
"""

import json
import sys

import yaml

from tests.builders.cluster_alarms import NAMESPACE, in_cluster
from tests.builders.promql import DASHBOARDS, ROOT

MADE = ROOT / "kubernetes" / "overlays" / "prod" / "dashboards.yaml"
OURS = f'{{namespace="{NAMESPACE}"}}'
NARROWED = {
    '{job!~"prometheus|alertmanager"}': OURS,
    "by (job) (up)": f"by (job) (up{OURS})",
    "(process_open_fds /": f"(process_open_fds{OURS} /",
}
"""In containers nobody else is watched than the shop and what watches it; in a cluster there is more."""

HEAD = """\
# Made by `PYTHONPATH=. python -m tests.builders.cluster_dashboards` from docker/grafana/dashboards: change those.
# Grafana's sidecar finds them by their label; they ask what the operators' exporters tell.
"""


def made():
    """The whole file."""
    return HEAD + yaml.safe_dump_all([_config_map(path) for path in DASHBOARDS], sort_keys=False, width=1_000_000)


def question_in_cluster(query):
    """What a panel asks there."""
    for here, there in NARROWED.items():
        query = query.replace(here, there)
    return in_cluster(query)


def _config_map(path):
    dashboard = json.loads(path.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            target["expr"] = question_in_cluster(target["expr"])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"dashboard-{path.stem}", "labels": {"grafana_dashboard": "1"}},
        "data": {f"kirana-{path.stem}.json": json.dumps(dashboard, separators=(",", ":"), sort_keys=True)},
    }


if __name__ == "__main__":
    MADE.write_text(made())
    sys.stdout.write(f"{MADE.relative_to(ROOT)}\n")
