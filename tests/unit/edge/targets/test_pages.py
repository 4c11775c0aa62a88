import gzip
import hashlib
import re

import pytest
from markupsafe import escape

from edge.explanations import EXPLAINED
from edge.problems import PROBLEMS
from edge.targets.assets import PAGES
from edge.targets.pages import example_of
from tests.fakes.edge import collaborators, serving

pytestmark = pytest.mark.anyio

REDOC = "a3cc0b0a0380a574fe6545b8b1a68f91e3cd3737bd26e118eb8871cf74f25819"
"""Of version 2.5.4, as ``make redoc`` makes it."""


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_needs_nothing_from_the_internet(path):
    async with serving(collaborators()) as client:
        page = await client.get(path)
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        answers = {link: (await client.get(link)).status_code for link in links}

    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe-eval" not in page.headers["content-security-policy"]
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
            assert escape(EXPLAINED[problem.code].meaning) in page.text
            assert f"/problems/{problem.slug}" in page.text
        assert (await client.get("/problems/none")).status_code == 404


def test_every_code_is_explained_and_nothing_else_is():
    assert set(EXPLAINED) == set(PROBLEMS)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_the_example_is_a_document_of_its_kind(code):
    document = example_of(PROBLEMS[code])

    assert document["code"] == code
    assert document["status"] == PROBLEMS[code].status
    assert all(document[member] for member in ("title", "detail", "instance", "request_id"))


async def test_the_index_leads_to_every_problem():
    async with serving(collaborators()) as client:
        page = await client.get("/problems/")

    assert page.status_code == 200
    assert set(re.findall(r'href="/problems/([a-z-]+)"', page.text)) == {one.slug for one in PROBLEMS.values()}
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/status", "/status.json", "/problems", "/problems/internal"])
async def test_head_tells_what_get_would_and_no_page_tells_a_version(path):
    async with serving(collaborators()) as client:
        got, head = await client.get(path), await client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-security-policy"] == got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "server" not in got.headers
    assert "sanic" not in got.text.lower()


async def test_the_large_script_travels_compressed_to_whoever_takes_that():
    async with serving(collaborators()) as client:
        packed = await client.get("/docs/redoc.standalone.js")
        plain = await client.get("/docs/redoc.standalone.js", headers={"accept-encoding": "gzip;q=0, identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert "Accept-Encoding" in packed.headers["vary"]
    assert hashlib.sha256(plain.content).hexdigest() == REDOC


async def test_the_script_of_others_leads_nowhere_and_has_its_licence_beside_it():
    script = gzip.decompress((PAGES / "redoc.standalone.js.gz").read_bytes())

    assert b"cdn.redoc.ly" not in script
    assert "MIT License" in (PAGES / "redoc.LICENSE.txt").read_text()


async def test_the_interface_describes_itself():
    async with serving(collaborators()) as client:
        answer = await client.get("/openapi.json")

    assert answer.json()["openapi"] == "3.1.0"
