"""Lists under which licences the images' packages are: ``python requirements/licences.py > docs/licences.md``.

Reads requirements/image.txt and what each package, as installed here, says of itself. Exit status 1 and no list when
a package says nothing that is known, or a licence that would bind the shop's own code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).with_name("image.txt")

FREE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-derived", "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0",
    "PSF-2.0", "Python-2.0", "TCL", "Unlicense", "ZPL-2.1", "Zlib",
}  # fmt: skip
"""They ask for a notice at most."""

BY_FILE = {"LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"}
"""They ask for changes of the package itself, which are none: it is used as it was published, and can be exchanged."""

SPOKEN = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-derived (http://www.repoze.org/license.txt)": "BSD-derived",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "gnu library or lesser general public license (lgpl)": "LGPL-3.0-or-later",
    "lgpl with exceptions": "LGPL-3.0-or-later",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "zope public license": "ZPL-2.1",
}
"""How packages say it that do not name their licence by its SPDX identifier."""

NOT_HERE = {"async-timeout": "Apache-2.0"}
"""Needed by no Python that is newer than 3.11.2, so it may be missing where the list is made."""

HEAD = """\
# Licences

What the images hold beside the shop's own code (MIT), from `requirements/image.txt`; made by `make licences`.
Packages under LGPL or MPL are used as they were published.

| package | version | licence |
|---|---|---|
"""


def locked(text: str) -> dict[str, str]:
    """Versions by package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


def licence(told: metadata.PackageMetadata) -> str:
    """As an SPDX expression, or in the package's own words where those are not known."""
    expressions = told.get_all("License-Expression") or ()
    if expressions:
        return str(expressions[0])
    classified = [
        line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License :: ")
    ]
    words = [*(word for word in classified if word != "OSI Approved"), *_first_line(told.get_all("License") or ())]
    known = [SPOKEN.get(word.strip().lower(), word.strip()) for word in words]
    return next((word for word in known if is_fine(word)), known[0] if known else "")


def _first_line(fields: Sequence[str]) -> Sequence[str]:
    """Some packages put the whole text into the field."""
    return fields[0].splitlines()[:1] if fields else ()


def is_fine(expression: str) -> bool:
    """Whether every licence that has to be kept, or one of those to choose from, is on the lists."""
    parts = re.split(r"\s+AND\s+", expression.replace("(", "").replace(")", ""))
    return all(any(each.strip() in FREE | BY_FILE for each in re.split(r"\s+OR\s+", part)) for part in parts)


def table(versions: dict[str, str]) -> tuple[str, list[str]]:
    """The page, and what is wrong with it."""
    rows, faults = [], []
    for name, version in sorted(versions.items()):
        try:
            said = NOT_HERE.get(name) or licence(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            faults.append(f"{name} is not installed here. Next: make check")
            continue
        if not is_fine(said):
            faults.append(
                f"{name}: {said or 'says nothing'}; look at it, then put it on a list of requirements/licences.py"
            )
        rows.append(f"| {name} | {version} | {said} |")
    return HEAD + "\n".join([*rows, ""]), faults


def main() -> int:
    """Write the page to the output, or the faults to where errors go."""
    page, faults = table(locked(LOCK.read_text(encoding="utf-8")))
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    if not faults:
        sys.stdout.write(page)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
