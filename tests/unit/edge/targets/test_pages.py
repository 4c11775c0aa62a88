import re

import pytest

from edge.problems import PROBLEMS
from tests.fakes.edge import collaborators, serving

pytestmark = pytest.mark.anyio


async def test_the_documentation_needs_nothing_from_the_internet():
    async with serving(collaborators()) as client:
        page = await client.get("/docs")
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        answers = {link: (await client.get(link)).status_code for link in links}

    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert len(answers) >= 4
    assert all(link.startswith("/") and status == 200 for link, status in answers.items())


@pytest.mark.parametrize("name", ["index.html", "..%2froutes.yaml", "%2e%2e", "docs.html", "swagger-ui.css.map"])
async def test_only_the_files_of_the_page_are_served(name):
    async with serving(collaborators()) as client:
        assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_every_kind_of_problem_has_a_page():
    async with serving(collaborators()) as client:
        for problem in PROBLEMS.values():
            page = await client.get(f"/problems/{problem.slug}")
            assert page.status_code == 200
            assert problem.code in page.text
        assert (await client.get("/problems/none")).status_code == 404


async def test_the_interface_describes_itself():
    async with serving(collaborators()) as client:
        answer = await client.get("/openapi.json")

    assert answer.json()["openapi"] == "3.1.0"
