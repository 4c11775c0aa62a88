"""The dashboards are what Grafana reads: checked by its own published types, and by what its pages need."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.builders.typescript import Typed, type_faults

GRAFANA = Path(__file__).parents[3] / "docker" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
COLUMNS = 24

PLAIN = """\
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""
"""A type with the texts of its enumerations in their place: a file of JSON cannot name an enumeration."""


@dataclass(frozen=True)
class Plain(Typed):
    """A value that has the type but for its enumerations."""

    def source(self):
        head, rest = super().source().split("\n", 1)
        return f"{head}\n{PLAIN}{rest.replace(f': {self.type} =', f': Plain<{self.type}> =', 1)}"


def as_dashboard(name, value):
    return Plain(name, "@grafana/schema", "Dashboard", value)


def test_grafana_knows_every_word_of_every_dashboard():
    assert len(DASHBOARDS) == 3
    assert type_faults([as_dashboard(name, value) for name, value in DASHBOARDS.items()]) == ""


def test_the_types_see_a_misspelt_word_and_a_value_that_no_enumeration_has():
    panel = DASHBOARDS["edge"]["panels"][1]
    misspelt = DASHBOARDS["edge"] | {"panels": [panel | {"gridpos": panel["gridPos"]}]}
    odd = DASHBOARDS["edge"] | {"panels": [panel | {"fieldConfig": {"defaults": {"thresholds": {"mode": "exact"}}}}]}

    faults = type_faults([as_dashboard("misspelt", misspelt), as_dashboard("odd", odd)])

    assert "misspelt.ts(" in faults
    assert "odd.ts(" in faults


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_panels_have_an_id_of_their_own_a_unit_a_description_and_the_provisioned_source(name):
    (source,) = (
        each["uid"]
        for each in yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
        if each["type"] == "prometheus"
    )
    panels = [each for each in DASHBOARDS[name]["panels"] if each["type"] != "row"]

    assert len({each["id"] for each in DASHBOARDS[name]["panels"]}) == len(DASHBOARDS[name]["panels"])
    assert "id" not in DASHBOARDS[name]  # it is Grafana's to give
    for each in panels:
        assert each["description"], each["title"]
        assert each["fieldConfig"]["defaults"]["unit"], each["title"]
        assert {each["datasource"]["uid"], *(target["datasource"]["uid"] for target in each["targets"])} == {source}


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_no_panel_lies_on_another(name):
    taken = set()
    for each in DASHBOARDS[name]["panels"]:
        place = each["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, each["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, each["title"]
        taken |= cells


def test_dashboards_have_an_address_of_their_own():
    assert len({each["uid"] for each in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert len({each["title"] for each in DASHBOARDS.values()}) == len(DASHBOARDS)
