from typing import get_args

from edge.pipeline import ON_EVERY_REQUEST, STAGES
from edge.policies import LocalTarget
from edge.targets.declared import DECLARED
from edge.targets.registry import LOCAL_TARGETS

NAMES = [stage.__name__ for stage in STAGES]


def test_the_stages_stand_in_the_order_that_is_promised():
    assert NAMES == [
        "correlate",
        "log_access",
        "harden",
        "translate_errors",
        "restrict",
        "admit",
        "bound_time",
        "limit_body",
        "limit_rate_by_address",
        "plugins_before_authenticate",
        "authenticate",
        "authorize",
        "limit_rate_by_caller",
        "decline_conditions",
        "replay",
        "plugins_around_target",
        "transform",
        "cache",
    ]


def test_nobody_is_authorized_before_it_is_known_who_they_are_and_nothing_replayed_before_they_may():
    assert NAMES.index("authenticate") < NAMES.index("authorize") < NAMES.index("replay")


def test_every_failure_meets_its_translation():
    assert [stage.__name__ for stage in ON_EVERY_REQUEST[-2:]] == ["translate_errors", "restrict"]


def test_every_hand_written_target_is_declared_and_written():
    assert set(get_args(LocalTarget)) == set(DECLARED) == set(LOCAL_TARGETS)
