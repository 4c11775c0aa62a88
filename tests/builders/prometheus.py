"""A Prometheus of the tests' own, with the repository's configuration but for where it looks and how often."""

import json
from pathlib import Path

import httpx
import yaml

from tests.builders.promql import ROOT, RULES
from tests.builders.servers import Server

CONFIGURATION = ROOT / "docker" / "prometheus" / "prometheus.yml"
EVERY = "2s"


class Prometheus(Server):
    """``targets`` are the jobs, each with the addresses that it asks: those of the configuration are in containers."""

    name = "prometheus"
    not_yet = (httpx.TransportError,)

    def __init__(self, targets):
        super().__init__()
        self._targets = targets
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def __exit__(self, *fault):
        self._client.close()
        super().__exit__(*fault)

    @property
    def command(self):
        return [
            "prometheus",
            f"--config.file={self.home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def prepare(self):
        settings = yaml.safe_load(CONFIGURATION.read_text())
        settings["global"] |= {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
        settings["rule_files"] = [self._rules(path) for path in RULES]
        settings["alerting"] = {}
        settings["scrape_configs"] = [
            {"job_name": job, "scrape_timeout": EVERY, "static_configs": [{"targets": addresses}]}
            for job, addresses in self._targets.items()
        ]
        (self.home / "prometheus.yml").write_text(yaml.safe_dump(settings))

    def answers(self):
        return self._client.get("/-/ready").status_code == httpx.codes.OK

    def ask(self, path, **parameters):
        """What its API answers; fails when it finds fault with the question."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == httpx.codes.OK, answer.text
        return json.loads(answer.text)["data"]

    def value(self, query):
        """Of a query that gives one figure; ``None`` while it gives none."""
        result = self.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def _rules(self, path: Path):
        """A copy that is looked at as often."""
        text = yaml.safe_load(path.read_text())
        for group in text["groups"]:
            group["interval"] = EVERY
        copy = self.home / path.name
        copy.write_text(yaml.safe_dump(text))
        return str(copy)
