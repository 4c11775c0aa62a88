"""The attack matrix in docs/security.md: complete, and every test that it names is there."""

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
DOCUMENT = TESTS.parent / "docs" / "security.md"
SECTIONS = {"A": 18, "B": 20, "C": 16, "D": 12}
ROW = re.compile(r"^\| ([A-D]\d+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAME = re.compile(r"`([a-z0-9_/]+\.py)::(\w+)`")
OF_A_ROW = re.compile(r"def (test_([a-d]\d+(?:_(?:and_)?[a-d]\d+)*)_\w+)")


@cache
def rows():
    return {row: NAME.findall(names) for row, names in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))}


@cache
def source(path):
    return (TESTS / path).read_text(encoding="utf-8")


def test_every_row_of_every_section_is_there_in_its_order():
    assert list(rows()) == [f"{section}{number}" for section, last in SECTIONS.items() for number in range(1, last + 1)]


@pytest.mark.parametrize("row", [f"{section}{n}" for section, last in SECTIONS.items() for n in range(1, last + 1)])
def test_a_row_is_held_by_tests_that_exist(row):
    assert rows()[row]
    for path, name in rows()[row]:
        is_a_test = re.search(rf"^ *(?:async )?def {name}", source(path), re.MULTILINE)
        is_a_case = name == row and re.search(rf'^ +"{name} ', source(path), re.MULTILINE)
        assert is_a_test or is_a_case, f"{path}::{name}"


def test_no_test_of_a_row_is_missing():
    missing = []
    for file in sorted(TESTS.rglob("test_*.py")):
        path = str(file.relative_to(TESTS))
        for name, told in OF_A_ROW.findall(source(path)):
            for letter, number in re.findall(r"([a-d])(\d+)", told):
                named = rows()[f"{letter.upper()}{int(number)}"]
                if not any(path == known and name.startswith(prefix) for known, prefix in named):
                    missing.append(f"{path}::{name}")
    assert not missing
