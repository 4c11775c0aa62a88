"""The pages name the figures that the code has."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from edge.settings import Settings

DOCS = Path(__file__).parents[4] / "docs"
(LEAST,) = (field.default for field in fields(Settings) if field.name == "least_in_flight")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("metrics.md", r"at its least \(`KIRANA_EDGE_LEAST_IN_FLIGHT`, (\d+)\)"),
        ("edge.md", r"keeps between (\d+) \(`KIRANA_EDGE_LEAST_IN_FLIGHT`\)"),
    ],
)
def test_the_least_that_is_let_under_way_is_told_as_it_is(page, said):
    (told,) = re.findall(said, (DOCS / page).read_text(encoding="utf-8"))

    assert int(told) == LEAST
