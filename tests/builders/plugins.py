"""Packages that offer plugins, as if they were installed: entry points on the path, for one test."""

import sys
import tomllib
from importlib import invalidate_caches
from pathlib import Path
from types import ModuleType

from shared.values.identifiers import new_id

GROUP = "kirana.edge.stages"
EXAMPLES = Path(__file__).parents[2] / "examples" / "edge_plugins"


class Packages:
    """``monkeypatch`` takes everything back."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch

    def offer(self, **plugins):
        """A package with these plugins; ``_`` in a name stands for ``-``."""
        package = f"offered_{new_id().replace('-', '')}"
        module = ModuleType(package)
        vars(module).update(plugins)
        self.monkeypatch.setitem(sys.modules, package, module)
        self.point({name.replace("_", "-"): f"{package}:{name}" for name in plugins})

    def offer_examples(self):
        """The package in ``examples``, with the entry points that its own ``pyproject.toml`` declares."""
        self.monkeypatch.syspath_prepend(EXAMPLES)
        declared = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())
        self.point(declared["project"]["entry-points"][GROUP])

    def point(self, entry_points):
        """What an installer writes down of a package."""
        name = f"offered-{new_id()}"
        place = self.folder / name
        info = place / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        self.monkeypatch.syspath_prepend(place)
        invalidate_caches()
