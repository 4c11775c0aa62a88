import re

import pytest

from edge.conditions import entity_tag, expected_version, is_unchanged, seen_beside_version
from edge.problems import Rejected


@pytest.mark.parametrize(("if_match", "version"), [(None, None), ("*", None), ('"3"', 3), ('"12-abc0"', 12)])
def test_if_match_names_a_version_or_any(if_match, version):
    assert expected_version(if_match) == version


@pytest.mark.parametrize("if_match", ["3", '"3', "", '"3", "4"', "W/3", '"a"b"'])
def test_a_malformed_if_match_is_bad_input(if_match):
    with pytest.raises(Rejected) as refused:
        expected_version(if_match)

    assert refused.value.code == "request.invalid"


@pytest.mark.parametrize("if_match", ['"abc"', 'W/"3"', '"-1"', '"99999999999999999999"', '""'])
def test_a_tag_that_was_never_ours_is_stale(if_match):
    with pytest.raises(Rejected) as refused:
        expected_version(if_match)

    assert refused.value.code == "version.stale"


def test_a_tag_can_be_sent_back_as_it_came():
    assert expected_version(entity_tag(b"body", version=41)) == 41


@pytest.mark.parametrize("figure", [0, 1, 10, 255, 10**9])
def test_a_tag_tells_the_figure_that_changes_without_a_version(figure):
    tag = entity_tag(b"body", version=41, beside=figure)

    assert (expected_version(tag), seen_beside_version(tag)) == (41, figure)


def test_who_knows_nothing_of_the_figure_takes_it_for_the_hash():
    """Edges of two versions stand beside each other while one takes the other's place."""
    assert re.fullmatch(r'"41-[0-9a-f]+"', entity_tag(b"body", version=41, beside=10))


@pytest.mark.parametrize(
    "if_match",
    [None, "*", '"3"', '"3-abc0"', "x", 'W/"x"', entity_tag(b"body", version=3), entity_tag(b"", version=None)],
)
def test_a_tag_that_tells_no_figure_tells_none(if_match):
    assert seen_beside_version(if_match) is None


def test_a_tag_changes_with_the_content_even_when_the_version_stays():
    assert entity_tag(b"stock 3", version=1) != entity_tag(b"stock 2", version=1)


@pytest.mark.parametrize(
    "header", ['"1-a"', 'W/"1-a"', "*", '"0", "1-a"', ' "1-a" ', '"1-a", ', ', "1-a"', ', ,"0",, "1-a" ,']
)
def test_what_the_client_has_already_is_unchanged(header):
    assert is_unchanged('"1-a"', header)


@pytest.mark.parametrize("header", ['"1-a"', 'W/"1-a"', "*", '"0", W/"1-a"'])
def test_what_the_client_has_of_a_weak_tag_is_unchanged(header):
    assert is_unchanged('W/"1-a"', header)


@pytest.mark.parametrize(
    "header", [None, '"1-b"', "1-a", '"1-a', "", ", ", '"0" "1-a"', '"1-a", 0', '"0"' + ", " * 4000 + "0"]
)
def test_anything_else_is_sent_anew(header):
    assert not is_unchanged('"1-a"', header)
