"""House rules that a linter cannot say: which rooms exist, and what may lie in them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "rpc_services", "shared", "kirana")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
SERVICES = ("identity", "catalog", "cart", "order", "notification")

SHARED_ROOMS = {"contracts", "values", "settings", "logs", "resilience", "persistence", "messaging", "nameko_ext"}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "core"}


def rooms(folder):
    return {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_the_list_of_rooms_in_shared_is_closed():
    assert rooms(ROOT / "shared") == SHARED_ROOMS


def test_every_service_has_the_same_rooms():
    for service in SERVICES:
        present = {path.name for path in (ROOT / "rpc_services" / service).iterdir()}
        assert {"service.py", "use_cases.py", "domain.py", "settings.py"} <= present, service
        assert {"storage.py", "storage"} & present, service


@pytest.mark.parametrize("folder", ["consul", "rabbitmq", "logging", "docker"])
def test_configuration_folders_hold_no_python_and_a_short_readme(folder):
    assert not list((ROOT / folder).rglob("*.py"))
    assert len((ROOT / folder / "README.md").read_text().splitlines()) <= 15


def test_nothing_is_named_after_nothing():
    assert not [path for path in SOURCES if NAMELESS & {path.stem, *path.relative_to(ROOT).parts}]


def test_no_module_has_grown_past_three_hundred_lines():
    assert not [path for path in SOURCES if len(path.read_text().splitlines()) > 300]


def test_every_module_opens_with_a_sentence_that_says_why_it_exists():
    silent = [
        path for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert not silent


def test_no_test_patches_what_it_tests():
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]

    assert not [path for path in files if "mock.patch" in path.read_text()]


def doors():
    for service in SERVICES:
        tree = ast.parse((ROOT / "rpc_services" / service / "service.py").read_text())
        for each in ast.walk(tree):
            if isinstance(each, ast.FunctionDef) and each.decorator_list:
                yield service, each


def test_doors_are_thin():
    thick = [f"{service}.{door.name}" for service, door in doors() if door.end_lineno - door.lineno + 1 > 14]

    assert not thick
