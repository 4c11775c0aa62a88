"""The code on the page about plugins, run as it stands there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.builders.plugins import GROUP
from tests.builders.tables import a_route

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "plugins.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def greeting(packages):
    module = ModuleType("shop_greeting")
    packages.monkeypatch.setitem(sys.modules, "shop_greeting", module)
    exec(blocks("python")[0], vars(module))
    packages.point(tomllib.loads(blocks("toml")[0])["project"]["entry-points"][GROUP])


async def test_the_tiny_plugin_works_as_the_page_says(greeting, packages, an_edge):
    (named,) = yaml.safe_load(blocks("yaml")[0])
    packages.monkeypatch.setenv("KIRANA_PLUGIN_GREETING_NAME", "Ann")
    async with an_edge(a_route(plugins=named["plugins"])) as client:
        answered = await client.get("/api/products/7")

    assert answered.headers["x-greeting"] == "welcome Ann"


def test_its_test_passes_as_a_file_of_its_own_in_a_pytest_of_its_own(tmp_path):
    package, test = blocks("python")
    (tmp_path / "shop_greeting").mkdir()
    (tmp_path / "shop_greeting" / "__init__.py").write_text(package)
    (tmp_path / "test_shop_greeting.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tmp_path,
        env=outside | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
