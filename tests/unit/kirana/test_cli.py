"""What the README says of the command line is what the command line has."""

import re
from pathlib import Path

import typer

from kirana.cli import build_app

ROOT = Path(__file__).parents[3]


def test_the_readme_lists_every_command_and_no_other():
    readme = (ROOT / "README.md").read_text()
    listed = re.search(r"^`kirana (\w+(?:\s\|\s\w+)+)`\.$", readme, re.MULTILINE)

    assert sorted(listed[1].replace("|", " ").split()) == sorted(typer.main.get_command(build_app()).commands)


def test_the_readme_leads_to_every_page_of_the_documents_but_what_belongs_to_one_of_them():
    readme = (ROOT / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}

    assert pages - set(re.findall(r"docs/([\w-]+\.md)", readme)) <= {"licences.md", "rpc.md"}
