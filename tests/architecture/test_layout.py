"""House rules that a linter cannot say: which rooms exist, and what may lie in them."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from shared.contracts import events

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "rpc_services", "shared", "kirana", "shipper")
SOURCES = [path for package in (*PACKAGES, "examples") for path in (ROOT / package).rglob("*.py")]
SERVICES = ("identity", "catalog", "cart", "order", "notification")

SHARED_ROOMS = {
    "contracts",
    "values",
    "settings",
    "logs",
    "resilience",
    "persistence",
    "messaging",
    "metrics",
    "nameko_ext",
    "tracing",
}
LOGGED_WITH = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical")}
POINTS_AT = re.compile(r"`((?:edge|rpc_services|shared|kirana|tests|docs|docker|rabbitmq|consul|examples)/[\w./:-]+)`")
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


@pytest.mark.parametrize("way_out", ["mock.patch", "mark.skip", "importorskip", "mark.xfail"])
def test_no_test_patches_what_it_tests_or_looks_away(way_out):
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]

    assert not [path for path in files if way_out in path.read_text()]


def test_what_a_log_line_is_called_never_changes_with_what_it_says():
    loose = [
        f"{path.relative_to(ROOT)}:{each.lineno}"
        for path in SOURCES
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.Call)
        and ast.unparse(each.func) in LOGGED_WITH
        and not (isinstance(each.args[0], ast.Constant) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", each.args[0].value))
    ]

    assert not loose


def test_what_the_documents_point_at_is_there():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = [(page, place) for page in pages for place in POINTS_AT.findall(page.read_text())]

    lost = [
        (page.name, place)
        for page, place in named
        for path, _, test in [place.partition("::")]
        if not (ROOT / path).exists() or test not in ((ROOT / path).read_text() if test else "")
    ]

    assert named
    assert not lost


def doors():
    for service in SERVICES:
        tree = ast.parse((ROOT / "rpc_services" / service / "service.py").read_text())
        for each in ast.walk(tree):
            if isinstance(each, ast.FunctionDef) and each.decorator_list:
                yield service, each


def test_doors_are_thin():
    thick = [f"{service}.{door.name}" for service, door in doors() if door.end_lineno - door.lineno + 1 > 14]

    assert not thick


def named_in_decorators(service):
    return {
        each.attr
        for owner, door in doors()
        if owner == service
        for decorator in door.decorator_list
        for each in ast.walk(decorator)
        if isinstance(each, ast.Attribute) and each.attr.isupper()
    } - {"METHODS"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_of_the_contract_has_a_door(service):
    methods = {method.name.upper() for method in import_module(f"shared.contracts.{service}").METHODS}

    assert methods == named_in_decorators(service) - vars(events).keys()


def test_every_event_that_a_door_waits_for_is_told_by_somebody():
    awaited = {name for service in SERVICES for name in named_in_decorators(service) & vars(events).keys()}
    tellers = {
        name: "".join(
            path.read_text() for path in (ROOT / "rpc_services" / getattr(events, name).service).rglob("*.py")
        )
        for name in awaited
    }

    assert awaited
    assert not [name for name, told in tellers.items() if name not in told]
