"""Everything that the set-up puts, against the types that Elastic publishes for its own clients."""

import json

import pytest
from orjson import loads

from shipper.setup.elasticsearch import ROLE, THINGS, body_of
from shipper.setup.settings import FOLDER
from tests.builders.typescript import Typed, type_faults

CLIENT = "@elastic/elasticsearch"
TYPES = {
    "lifecycle.json": "estypes.IlmPutLifecycleRequest",
    "fields.json": "estypes.ClusterPutComponentTemplateRequest",
    "storage.json": "estypes.ClusterPutComponentTemplateRequest",
    "stream.json": "estypes.IndicesPutIndexTemplateRequest",
    "shipper-role.json": "estypes.SecurityPutRoleRequest",
}


def typed(thing, change=lambda body: body):
    body, _ = body_of(thing, FOLDER / "elasticsearch")
    name = thing.path.rpartition("/")[2]
    return Typed(thing.file.removesuffix(".json"), CLIENT, TYPES[thing.file], {"name": name} | change(body))


def settings():
    """The type of a template takes any setting; the one of the settings alone knows their names."""
    body = loads((FOLDER / "elasticsearch" / "storage.json").read_bytes())
    return body["template"]["settings"]["index"]


def typed_settings(value):
    return Typed("settings", CLIENT, "estypes.IndicesIndexSettings", value, only_named=True)


def test_every_file_is_put_and_every_one_has_a_type():
    assert {thing.file for thing in (*THINGS, ROLE)} == set(TYPES)
    assert {path.name for path in (FOLDER / "elasticsearch").iterdir()} == set(TYPES)


def test_everything_that_elasticsearch_is_given_has_the_published_type():
    assert type_faults([*(typed(thing) for thing in (*THINGS, ROLE)), typed_settings(settings())]) == ""


def once(pairs):
    names = [name for name, _ in pairs]
    assert sorted(names) == sorted(set(names)), "a name stands twice: the last one wins in silence"
    return dict(pairs)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.json")), ids=lambda path: path.name)
def test_no_name_stands_twice_in_an_object(path):
    assert json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)


def misspelt(body, *path):
    at = body
    *above, last = path
    for key in above:
        at = at[key]
    at[f"{last}s"] = at.pop(last)
    return body


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("lifecycle.json", ("policy", "phases", "hot", "actions", "rollover", "max_age")),
        ("fields.json", ("template", "mappings", "date_detection")),
        ("fields.json", ("template", "mappings", "properties", "labels", "properties", "code", "ignore_above")),
        ("stream.json", ("template", "data_stream_options", "failure_store")),
        ("shipper-role.json", ("indices", 0, "privileges")),
    ],
    ids=["lifecycle", "mapping", "field", "stream", "role"],
)
def test_a_misspelt_name_is_found(file, path):
    thing = next(thing for thing in (*THINGS, ROLE) if thing.file == file)

    told = type_faults([typed(thing, lambda body: misspelt(body, *path))])

    assert f"{path[-1]}s" in told


def test_a_misspelt_setting_is_found():
    assert "refresh_intervals" in type_faults([typed_settings(misspelt(settings(), "refresh_interval"))])


def test_a_field_type_that_does_not_exist_is_found():
    def change(body):
        body["template"]["mappings"]["properties"]["message"]["type"] = "texts"
        return body

    assert "fields.ts" in type_faults([typed(THINGS[1], change)])


def test_the_stream_outranks_elastics_own_template_and_is_made_of_ours():
    stream = loads((FOLDER / "elasticsearch" / "stream.json").read_bytes())

    assert stream["priority"] > 500
    assert [f"component template {name}" for name in stream["composed_of"]] == [thing.name for thing in THINGS[1:3]]
    assert "data_stream" in stream


def test_the_storage_names_the_lifecycle_that_is_put():
    assert THINGS[0].path.endswith(f"/{settings()['lifecycle']['name']}")


def test_the_shipper_may_add_lines_and_nothing_else():
    role = loads((FOLDER / "elasticsearch" / "shipper-role.json").read_bytes())

    assert role["cluster"] == []
    assert [indices["names"] for indices in role["indices"]] == [["logs-kirana.*-*"]]
    assert set(role["indices"][0]["privileges"]) == {"create_doc", "auto_configure"}
