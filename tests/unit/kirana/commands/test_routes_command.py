import json

import pytest
from typer.testing import CliRunner

from edge.settings import PACKAGED_ROUTES
from kirana.cli import build_app
from kirana.routing import sources
from tests.builders.tables import a_page, a_route, table_text

GOOD = table_text(a_route(), a_page())
BAD = table_text(a_route(auth="maybe", colour="red"))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "same.yaml").write_text("# the same in other words\n" + GOOD.replace("quota: 10", "quota: 0xa"))
    (tmp_path / "other.yaml").write_text(GOOD.replace("quota: 10", "quota: 11"))
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "no_text").write_bytes(b"\xff")
    return tmp_path


def ran(*arguments):
    return CliRunner().invoke(build_app(), ["routes", *map(str, arguments)], env={"COLUMNS": "160"})


def test_a_good_table_passes(files):
    done = ran("check", files / "good.yaml")

    assert (done.exit_code, done.stdout) == (0, "✓ 2 routes, no fault.\n")


def test_the_packaged_table_passes():
    assert ran("check", PACKAGED_ROUTES).exit_code == 0


def test_a_bad_table_fails_with_every_fault_where_an_editor_finds_it(files):
    done = ran("check", files / "bad.yaml")

    line = BAD.splitlines().index("  auth: maybe") + 1
    assert done.exit_code == 78
    assert f"{files}/bad.yaml:{line}: get_product: /auth: Invalid enum value 'maybe'." in done.stderr
    assert "/colour: This field is not known here." in done.stderr
    assert "2 faults" in done.stderr


def test_scripts_get_the_faults_as_json(files):
    done = ran("check", files / "bad.yaml", "--json")

    told = json.loads(done.stdout)
    assert done.exit_code == 78
    assert told["ok"] is False
    assert [fault["pointer"] for fault in told["faults"]] == ["/routes/0/auth", "/routes/0/colour"]


def test_the_routes_of_a_file_are_shown_in_their_order(files):
    done = ran("show", files / "good.yaml")
    routes = json.loads(ran("show", files / "good.yaml", "--json").stdout)["routes"]

    assert done.exit_code == 0
    assert done.stdout.index("catalog.get_product") < done.stdout.index("local.alive")
    assert [route["name"] for route in routes] == ["get_product", "alive"]


@pytest.mark.parametrize(
    ("second", "status"), [("same.yaml", 0), ("other.yaml", 1), ("bad.yaml", 78)], ids=["same", "differs", "bad"]
)
def test_the_exit_status_says_whether_two_tables_differ(files, second, status):
    assert ran("diff", files / "good.yaml", files / second).exit_code == status


def test_what_differs_is_named_before_and_after(files):
    done = ran("diff", files / "good.yaml", files / "other.yaml")
    told = json.loads(ran("diff", files / "good.yaml", files / "other.yaml", "--json").stdout)

    assert done.stdout == "~ rates/browse\n    /quota: 10 → 11\n"
    assert told == [
        {
            "place": "rates/browse",
            "kind": "changed",
            "changes": [{"pointer": "/quota", "before": "10", "after": "11"}],
        }
    ]


@pytest.mark.parametrize(
    ("name", "reason"), [("no_text", "no text in UTF-8"), ("nowhere", "cannot be read: No such file")]
)
def test_a_file_without_a_text_is_a_fault_an_operator_can_mend_and_no_difference(files, name, reason):
    with pytest.raises(sources.StackFault, match=reason) as refused:
        sources.text_of(str(files / name))
    assert refused.value.exit_code == 78


def test_the_schema_is_printed_as_it_is_shipped():
    assert ran("schema").stdout == PACKAGED_ROUTES.with_name("routes.schema.json").read_text()
