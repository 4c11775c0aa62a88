from edge.limiting.limits import Verdict, limit_headers
from tests.builders.structured_fields import members


def test_the_headers_are_structured_fields_for_every_limit_that_applies():
    headers = limit_headers(
        [
            Verdict("browse-address", 1200, 60, allowed=True, remaining=1199, reset=60),
            Verdict("b", 10, 1, allowed=False, remaining=0, reset=1),
        ]
    )

    assert members(headers["ratelimit-policy"]) == {"browse-address": {"q": 1200, "w": 60}, "b": {"q": 10, "w": 1}}
    assert members(headers["ratelimit"]) == {"browse-address": {"r": 1199, "t": 60}, "b": {"r": 0, "t": 1}}


def test_where_nothing_is_limited_nothing_is_said():
    assert limit_headers([]) == {}
