"""Limits are changed word by word: what nobody named stays as it was, and whoever reads them sees all of them."""

import pytest
import yaml

from kirana.configuration.documents import Refused, limits_of, packaged, read_limits, with_limits

STRICT = packaged().replace("order:    {quota: 60, window: 60}", "order:    {quota: 60, window: 60, away: refuse}")


def rates_of(table):
    return yaml.safe_load(table)["rates"]


def test_the_table_of_these_tests_says_what_happens_to_orders_while_redis_is_away():
    assert rates_of(STRICT)["order"] == {"quota": 60, "window": 60, "away": "refuse"}


def test_a_new_rate_leaves_the_other_words_of_the_limit():
    changed = with_limits(STRICT, read_limits("order=30/10"))

    assert rates_of(changed) == rates_of(STRICT) | {"order": {"quota": 30, "window": 10, "away": "refuse"}}


def test_a_document_may_name_one_word_of_a_limit():
    changed = with_limits(STRICT, read_limits("order: {away: allow}\nbrowse: {away: refuse}"))

    assert rates_of(changed)["order"] == {"quota": 60, "window": 60, "away": "allow"}
    assert rates_of(changed)["browse"] == rates_of(STRICT)["browse"] | {"away": "refuse"}


def test_every_word_is_shown():
    shown = limits_of(STRICT)

    assert "order: {quota: 60, window: 60, away: refuse}\n" in shown
    assert "browse: {quota: 1200, window: 60}\n" in shown


def test_what_is_shown_and_set_again_changes_nothing():
    again = with_limits(STRICT, read_limits(limits_of(STRICT)))

    assert rates_of(again) == rates_of(STRICT)


@pytest.mark.parametrize("text", ["order: 5", "order: {qouta: 5}", "order: {away: perhaps}", "order: null"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(Refused):
        with_limits(STRICT, read_limits(text))
