"""The table of limits in docs/rpc.md quotes the code: a figure that changes there must change here."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "rpc.md").read_text(encoding="utf-8").partition("## Limits")[2].partition("\n## ")[0]
ROWS = [row for row in TABLE.splitlines() if row.startswith("| ")][1:]
QUOTED = re.compile(r"`([^`]+)`(:?)")


def quotations(row):
    """The pairs of a file and what it is said to say, in the last column: `` `file`: `said`, `said` ``."""
    path, found = None, []
    for text, is_path in QUOTED.findall(row.rpartition(" | ")[2]):
        if is_path:
            path = text
        else:
            found.append((path, text))
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_a_limit_is_quoted_as_it_is_in_the_code(row):
    found = quotations(row)

    assert found
    for path, said in found:
        assert re.search(rf"(?<!\w){re.escape(said)}(?![\w.])", (ROOT / path).read_text(encoding="utf-8")), (path, said)
