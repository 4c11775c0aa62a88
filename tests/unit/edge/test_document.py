import time

import pytest
import yaml

from edge.document import MOST_BYTES, MOST_DEPTH, MOST_NODES, read_document
from edge.faults import BadRoutes
from edge.settings import PACKAGED_ROUTES

LAUGHS = "\n".join(
    ["a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    + [
        f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)


def refused(text):
    with pytest.raises(BadRoutes) as bad:
        read_document(text)
    return bad.value.faults


def test_the_packaged_table_reads_as_any_yaml_parser_reads_it():
    text = PACKAGED_ROUTES.read_text()

    assert read_document(text).data == yaml.safe_load(text)


def test_every_place_has_its_line_and_an_unknown_one_that_of_what_is_around_it():
    document = read_document(
        "rates:\n  browse: {quota: 1,\n    window: 2}\nroutes:\n- name: a\n  'x/y~z': [1,\n   2]\n"
    )

    assert [
        document.line_of(pointer)
        for pointer in (
            "",
            "/rates",
            "/rates/browse/window",
            "/routes/0",
            "/routes/0/x~1y~0z/1",
            "/routes/0/absent/deep",
        )
    ] == [1, 1, 3, 5, 7, 5]


def test_json_is_read_with_its_lines_too():
    document = read_document('{"rates": {},\n\t"routes": [\n\t\t{"name": "a\\u00e9"}]}')

    assert document.data == {"rates": {}, "routes": [{"name": "aé"}]}
    assert document.line_of("/routes/0/name") == 3


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands twice"),
        ("a: &x 1\nb: 2", 1, "anchors"),
        ("a: 1\nb: *x", 2, "aliases"),
        ("a: !!python/object:os.system 1", 1, "tags"),
        ("a: 1\n2: b", 2, "the key '2' is no text"),
    ],
    ids=["key twice", "anchor", "alias", "tag", "number as key"],
)
def test_what_is_not_taken_is_named_and_the_rest_still_read(text, line, reason):
    document = read_document(text)

    (fault,) = document.faults
    assert (fault.line, fault.detail[: len(reason)]) == (line, reason)
    assert "a" in document.data


def test_of_a_key_that_stands_twice_the_first_counts():
    assert read_document("a: 1\na: 2").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, f"deeper than {MOST_DEPTH}"),
        ("{a: " * 60_000, f"deeper than {MOST_DEPTH}"),
        ("[" + "1," * (MOST_NODES + 1) + "]", f"more than {MOST_NODES} values"),
        ("#" * (MOST_BYTES + 1), f"more than {MOST_BYTES} bytes"),
        ("é" * (MOST_BYTES // 2 + 1), f"more than {MOST_BYTES} bytes"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("routes: [", "this is no YAML"),
        ("a: '\x00'", "this is no YAML"),
        ("? [a]\n: 1", "a key must be text"),
        ("a: 1\nb: \udcff", "no text in UTF-8"),
    ],
    ids=[
        "lists",
        "mappings",
        "values",
        "bytes",
        "wide letters",
        "documents",
        "unclosed",
        "NUL",
        "list as key",
        "no text",
    ],
)
def test_what_is_too_much_or_no_table_at_all_is_refused(text, reason):
    assert reason in str(refused(text)[-1])


def test_a_thousand_million_laughs_cost_no_more_than_reading_their_text():
    began = time.process_time()

    document = read_document(LAUGHS)

    assert time.process_time() - began < 1
    assert {"anchors", "aliases"} == {fault.detail.split()[0] for fault in document.faults}


def test_a_number_that_would_take_long_to_read_is_text():
    began = time.process_time()

    document = read_document("a: " + ":".join(["59"] * 80_000) + "\nb: " + "9" * 5000)

    assert time.process_time() - began < 1
    assert all(isinstance(value, str) for value in document.data.values())
