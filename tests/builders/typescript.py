"""Checks JSON against the types that its vendor publishes: the compiler tells every misspelt or misplaced name.

A value is pasted into a source as a literal, as an imported file would lose its literal types and with them the check.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "typescript"
MODULES = FOLDER / "node_modules"
INSTALL_SECONDS = 240
COMPILE_SECONDS = 120
NAMED = "type Named<T> = { [K in keyof T as string extends K ? never : K]: T[K] };\n"


@dataclass(frozen=True)
class Typed:
    """A JSON value, and the type that it should have: a name that the module exports, dots allowed.

    Some types allow any further name beside those that they know; ``only_named`` leaves that away.
    """

    name: str
    module: str
    type: str
    value: Any
    only_named: bool = False

    def source(self) -> str:
        imported = self.type.partition(".")[0]
        literal = json.dumps(self.value, indent=1)
        wanted = f"Named<{self.type}>" if self.only_named else self.type
        return f'import type {{ {imported} }} from "{self.module}";\n{NAMED}export const value: {wanted} = {literal};\n'


def installed() -> Path:
    """The folder of the locked packages; installed once per lock file, whoever of several processes asks first."""
    stamp = MODULES / ".lock-digest"
    digest = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    with (FOLDER / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="ascii") != digest:
            _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], INSTALL_SECONDS)
            stamp.write_text(digest, encoding="ascii")
    return MODULES


def type_faults(values: list[Typed]) -> str:
    """What the compiler says against the values, each line beginning with the name of one; empty when all is well."""
    modules = installed()
    with tempfile.TemporaryDirectory(prefix="kirana-types-") as folder:
        place = Path(folder)
        (place / "node_modules").symlink_to(modules)
        (place / "package.json").write_text('{"type": "module"}', encoding="utf-8")
        (place / "tsconfig.json").write_text(
            json.dumps({"extends": str(FOLDER / "tsconfig.json"), "include": ["*.ts"]}), encoding="utf-8"
        )
        for value in values:
            (place / f"{value.name}.ts").write_text(value.source(), encoding="utf-8")
        done = subprocess.run(
            [modules / ".bin" / "tsc", "--pretty", "false", "--project", place],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
            check=False,
        )
    told = done.stdout + done.stderr
    assert bool(told) == (done.returncode != 0), f"the compiler ended with {done.returncode}: {told}"
    return told


def node(script: str, *arguments: str) -> str:
    """What a script of Node prints that may import the locked packages."""
    installed()
    return _run(["node", "--input-type=module", "--eval", script, *arguments], COMPILE_SECONDS)


def _run(command: list[str], seconds: float) -> str:
    done = subprocess.run(
        command,
        cwd=FOLDER,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command[:2])}: {done.stdout}{done.stderr}"
    return done.stdout
