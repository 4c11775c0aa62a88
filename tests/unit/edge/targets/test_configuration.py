import json

import pytest
import yaml

from edge.live.shared import Shared
from edge.settings import PACKAGED_ROUTES
from edge.snapshot import hash_of
from tests.fakes.edge import a_token, collaborators, serving

pytestmark = pytest.mark.anyio

PACKAGED = PACKAGED_ROUTES.read_text()
ANOTHER = PACKAGED.replace("summary: One product", "summary: A product")
BAD = PACKAGED.replace("auth: optional", "auth: maybe")
ADMIN = {"Authorization": f"Bearer {a_token(scope='edge:admin')}", "Content-Type": "application/yaml"}


class FakeShared:
    """The shared table as Consul would keep it; ``meanwhile`` is what somebody else writes after it was read."""

    def __init__(self, text=None, *, meanwhile=None, fault=None, unanswered=None):
        self.text, self.meanwhile, self.fault, self.index = text, meanwhile, fault, 1
        self.unanswered = unanswered
        self.written = []

    async def read(self):
        if self.fault:
            raise self.fault
        seen = Shared(self.text, self.index)
        if self.meanwhile:
            self.index += 1
        return seen

    async def replace(self, seen, text):
        if seen.index != self.index:
            return False
        self.written.append(text)
        if self.unanswered:
            self.text = text
            raise self.unanswered
        return True


async def putting(text, shared=None, *, headers=ADMIN, **query):
    async with serving(collaborators(), shared=shared) as client:
        return await client.put("/admin/config", content=text, headers=headers, params=query)


async def test_a_good_table_is_handed_to_all_and_the_answer_says_what_it_changes():
    shared = FakeShared()

    answer = await putting(ANOTHER, shared)

    assert answer.status_code == 200, answer.text
    assert shared.written == [ANOTHER]
    assert answer.json() == {
        "version": hash_of(ANOTHER),
        "replaces": hash_of(PACKAGED),
        "dry_run": False,
        "differences": [
            {
                "place": "routes/get_product",
                "kind": "changed",
                "changes": [{"pointer": "/summary", "before": '"One product"', "after": '"A product"'}],
            }
        ],
    }


async def test_a_table_in_json_is_taken_too():
    shared = FakeShared()
    text = json.dumps(yaml.safe_load(ANOTHER))

    answer = await putting(text, shared, headers=ADMIN | {"Content-Type": "application/json"})

    assert answer.status_code == 200, answer.text
    assert shared.written == [text]


async def test_a_dry_run_checks_and_compares_and_needs_no_consul():
    answer = await putting(ANOTHER, dry_run="true")

    assert answer.status_code == 200
    assert answer.json()["dry_run"] is True
    assert [one["place"] for one in answer.json()["differences"]] == ["routes/get_product"]


@pytest.mark.parametrize("query", [{}, {"dry_run": "true"}], ids=["in earnest", "dry run"])
async def test_a_bad_table_is_refused_with_every_fault_and_its_line(query):
    shared = FakeShared()

    answer = await putting(BAD, shared, **query)

    assert answer.status_code == 400
    assert shared.written == []
    lines = BAD.splitlines()
    errors = answer.json()["errors"]
    assert len(errors) == BAD.count("auth: maybe")
    assert all("auth: maybe" in lines[error["line"] - 1] for error in errors)
    assert all(error["pointer"].endswith("/auth") for error in errors)


@pytest.mark.parametrize("text", [b"", b" \n", b"\xff\xfe", b"[" * 100_000, b"null", b"a: *b"], ids=range(6))
async def test_what_is_no_table_is_no_fault_of_ours(text):
    shared = FakeShared()

    answer = await putting(text, shared)

    assert answer.status_code == 400
    assert shared.written == []


async def test_a_body_over_the_stated_size_is_refused():
    assert (await putting("#" * 300_000, FakeShared())).status_code == 413


@pytest.mark.parametrize(
    ("shared", "query", "status", "code"),
    [
        (None, {}, 503, "service.unavailable"),
        (FakeShared(fault=OSError()), {}, 503, "service.unavailable"),
        (FakeShared(fault=TimeoutError()), {}, 503, "service.unavailable"),
        (FakeShared(PACKAGED, meanwhile="x"), {}, 412, "version.stale"),
        (FakeShared(), {"if_version": "123456789abc"}, 412, "version.stale"),
        (FakeShared("x"), {"if_version": hash_of(PACKAGED)}, 412, "version.stale"),
    ],
    ids=["no Consul", "Consul away", "Consul slow", "somebody was faster", "another file", "another table"],
)
async def test_what_keeps_a_good_table_out_is_told_and_nothing_is_changed(shared, query, status, code):
    answer = await putting(ANOTHER, shared, **query)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not getattr(shared, "written", [])


@pytest.mark.parametrize(
    ("shared", "version"),
    [(FakeShared(), hash_of(PACKAGED)), (FakeShared("x"), hash_of("x"))],
    ids=["the file", "a table"],
)
async def test_the_version_that_may_be_replaced_is_that_of_the_key_or_else_of_the_file(shared, version):
    assert (await putting(ANOTHER, shared, if_version=version)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/yaml"}, 401),
        (ADMIN | {"Authorization": f"Bearer {a_token(scope='catalog:write')}"}, 403),
        (ADMIN | {"Content-Type": "text/html"}, 415),
    ],
    ids=["nobody", "no administrator", "no table"],
)
async def test_only_an_administrator_may_and_only_with_a_table(headers, status):
    shared = FakeShared()

    assert (await putting(ANOTHER, shared, headers=headers)).status_code == status
    assert shared.written == []


async def test_the_table_in_force_is_shown_with_its_version_and_its_text():
    async with serving(collaborators()) as client:
        shown = (await client.get("/admin/routes", headers=ADMIN)).json()

    assert shown["version"] == hash_of(PACKAGED)
    assert (shown["origin"], shown["refused"], shown["text"]) == ("file", None, PACKAGED)


@pytest.mark.parametrize("fault", [OSError(), TimeoutError()], ids=["broken off", "slow"])
async def test_a_table_that_consul_may_have_is_never_told_to_have_failed_and_sending_it_again_tells_the_end(fault):
    shared = FakeShared(PACKAGED, unanswered=fault)

    answers = [await putting(ANOTHER, shared, if_version=hash_of(PACKAGED)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [504, 200]
    assert answers[0].json()["code"] == "outcome.unknown"
    assert shared.written == [ANOTHER]
