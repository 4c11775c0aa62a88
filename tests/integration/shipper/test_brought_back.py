"""Lines that Elasticsearch would not take are there once that is mended, by what the documentation says to do."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.builders.elasticsearch import Elasticsearch
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers, numbers
from tests.builders.waiting import eventually

PAGE = (Path(__file__).parents[3] / "docs" / "shipping.md").read_text(encoding="utf-8")
(STEPS,) = re.findall(r"^### To bring dead letters back\n.*?^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = 50


@pytest.mark.parametrize("poisoned", [(0, 17), range(LINES)], ids=["some", "all"])
def test_dead_letters_are_brought_back_and_nothing_else_comes_twice(tmp_path, poisoned):
    with Elasticsearch() as elasticsearch, Nursery(tmp_path, elasticsearch.url) as nursery, nursery.shipping():
        writers = Writers(tmp_path, "edge-1")
        writers.write(LINES, lambda number: "mapping" if number in poisoned else None)
        eventually(lambda: nursery.settled() == LINES, what="a verdict on every line")
        assert nursery.totals()["dead"] == len(poisoned)

        elasticsearch.misbehave(mended=True)
        run_as_documented(tmp_path)
        eventually(lambda: nursery.settled() == LINES + 1 + len(poisoned), what="a verdict on what was brought back")
        writers.close()
        found = elasticsearch.documents().values()

        assert nursery.totals() == {"delivered": LINES + 1, "dead": len(poisoned)}
        assert nursery.dead_letters() == []
        assert sorted(numbers(each for each in found if "labels" in each)) == list(range(LINES))


def run_as_documented(spool):
    environment = os.environ | {"KIRANA_LOG_SPOOL": str(spool)}
    done = subprocess.run(
        ["sh", "-ec", STEPS], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
