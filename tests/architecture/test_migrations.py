"""A migration only adds: the release that runs meanwhile must not notice, and what it needs goes a release later.

What nobody uses any more may go in a migration that says in ``CONTRACTS`` why the last release can do without it.
"""

import ast
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAST_RELEASE = ROOT / "tests" / "releases" / "last.tar.xz"
TAKING_AWAY = {"drop_table", "drop_column", "drop_constraint", "rename_table"}
CHANGING = {"new_column_name", "type_", "nullable"}
LOCKING = {"create_unique_constraint", "create_check_constraint", "create_foreign_key"}


def faults(source):
    """Whatever the code of the last release would trip over, by line."""
    tree = ast.parse(source)
    if any(
        isinstance(node, ast.Assign) and node.targets[0].id == "CONTRACTS"
        for node in tree.body
        if isinstance(node, ast.Assign)
    ):
        return []
    upgrade = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade")
    calls = [node for node in ast.walk(upgrade) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [f"line {call.lineno}: {fault}" for call in calls if (fault := fault_of(call))]


def fault_of(call):
    name = call.func.attr
    words = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in TAKING_AWAY:
        return f"{name} takes away what the last release uses"
    if name == "alter_column" and CHANGING & words.keys():
        return "alter_column changes what the last release reads and writes"
    if name == "add_column" and is_demanding(call.args[-1]):
        return "add_column without a default: the last release writes no value"
    if name in LOCKING:
        return f"{name} refuses what the last release writes; use NOT VALID, and validate a release later"
    if name == "execute" and any(word in ast.unparse(call).upper() for word in ("DROP ", "RENAME ", "SET NOT NULL")):
        return "execute takes away what the last release uses"
    return None


def is_demanding(column):
    words = {keyword.arg: ast.unparse(keyword.value) for keyword in column.keywords}
    return words.get("nullable") == "False" and "server_default" not in words


def known_to_the_last_release():
    with tarfile.open(LAST_RELEASE) as archive:
        return {name for name in archive.getnames() if "/migrations/versions/" in name}


def migrations():
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("rpc_services/*/migrations/versions/[0-9]*.py"))


def test_migrations_since_the_last_release_only_add():
    known = known_to_the_last_release()
    assert known
    fresh = [name for name in migrations() if name not in known]

    found = {name: faults((ROOT / name).read_text()) for name in fresh}

    assert {name: told for name, told in found.items() if told} == {}


@pytest.mark.parametrize(
    "line",
    [
        'op.drop_column("orders", "number")',
        'op.drop_table("orders")',
        'op.alter_column("orders", "number", new_column_name="no")',
        'op.alter_column("orders", "number", nullable=False)',
        'op.add_column("orders", sa.Column("channel", sa.Text, nullable=False))',
        'op.create_check_constraint("few", "orders", "units < 100")',
        'op.execute("ALTER TABLE orders RENAME COLUMN number TO no")',
    ],
)
def test_what_the_last_release_would_trip_over_is_found(line):
    assert len(faults(f"def upgrade():\n    {line}\n")) == 1
    assert faults(f'CONTRACTS = "unused since 0.1"\ndef upgrade():\n    {line}\n') == []


@pytest.mark.parametrize(
    "line",
    [
        'op.add_column("orders", sa.Column("channel", sa.Text))',
        'op.add_column("orders", sa.Column("channel", sa.Text, nullable=False, server_default="shop"))',
        'op.create_index("ix", "orders", ["number"])',
        'op.create_table("notes", sa.Column("id", sa.Text, nullable=False))',
    ],
)
def test_what_only_adds_passes(line):
    assert faults(f"def upgrade():\n    {line}\n") == []
