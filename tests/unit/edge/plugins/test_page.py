"""The code on the page about plugins, run as it stands there."""

import asyncio
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.builders.plugins import GROUP
from tests.builders.tables import a_route

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[4] / "docs" / "plugins.md").read_text()


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


def test_its_test_is_one(greeting):
    names = {}
    exec(blocks("python")[1], names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))

    asyncio.run(test())
