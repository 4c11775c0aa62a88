import msgspec
import pytest

from edge.cache.policy import cache_faults
from edge.policies import RoutePolicy
from tests.unit.edge.cache.asking import A_ROUTE, a_policy

PRIVATE = {"cache_control": "private, no-cache"}


def faults(*, cache=None, **changes):
    policy = a_policy(cache=A_ROUTE["cache"] | (cache or {}), **changes)
    return list(cache_faults(policy, None))


def test_a_public_answer_may_be_kept():
    assert faults() == []


def test_a_route_without_the_word_has_no_fault_of_it():
    assert list(cache_faults(a_policy(cache=None, auth="required"), None)) == []


UNSAFE = {
    "behind auth": {"auth": "required"},
    "of a user": {"auth": "optional", "arguments": {"product_id": "path", "user_id": "caller.user_id"}},
    "of a cart": {"arguments": {"product_id": "path", "cart_token": "caller.cart_token"}},
    "of an address": {"arguments": {"product_id": "path", "client_address": "caller.address"}},
}


@pytest.mark.parametrize("changes", UNSAFE.values(), ids=UNSAFE.keys())
def test_what_may_carry_a_callers_data_is_not_kept_for_all(changes):
    assert faults(**changes) == [
        "/cache: this answer may carry a caller's data: say 'private: true', or keep it not at all"
    ]


def test_it_may_be_kept_for_that_caller_alone():
    arguments = {"product_id": "path", "user_id": "caller.user_id"}

    assert faults(auth="required", arguments=arguments, answer=PRIVATE, cache={"private": True}) == []


@pytest.mark.parametrize("source", ["caller.session_id", "caller.cart_token", "caller.address"])
def test_but_not_where_more_than_the_user_decides(source):
    arguments = {"product_id": "path", "more": source}

    found = faults(auth="required", arguments=arguments, answer=PRIVATE, cache={"private": True})

    assert found == [f"/cache/private: answers are kept per user, which '{source}' does not name"]


def test_private_needs_somebody_to_belong_to():
    assert faults(auth="optional", answer=PRIVATE, cache={"private": True})


def test_where_a_caller_may_be_known_the_table_must_say_what_of_it_counts():
    assert faults(auth="optional") == [
        "/cache/vary: where a caller may be known, say 'caller-class' or 'private: true'"
    ]
    assert faults(auth="optional", cache={"vary": "caller-class"}) == []


@pytest.mark.parametrize(
    ("told", "private"), [("no-store", False), ("private", False), ("public, max-age=60", True), ("no-store", True)]
)
def test_clients_are_told_nothing_that_contradicts_it(told, private):
    found = faults(auth="required" if private else "none", answer={"cache_control": told}, cache={"private": private})

    assert found


def test_only_reads_that_a_service_answers_are_kept():
    assert faults(method="POST") == ["/cache: only the answers of GET can be kept"]
    assert faults(call=None, local="openapi") == ["/cache: what the edge makes by itself needs no cache"]
    assert faults(arguments={"product_id": "path", "expected_version": "if-match"})


def test_a_tag_is_made_of_the_path_and_the_query():
    assert faults(cache={"tags": ["product:{id}"]}) == ["/cache/tags/0: 'id' is no argument from the path or the query"]
    assert faults(cache={"tags": ["products", "all"]}) == [
        "/cache/tags/1: every entry has the tags all and path anyway"
    ]


@pytest.mark.parametrize(
    "cache",
    [
        {"ttl": 0},
        {"ttl": 90_000},
        {},
        {"ttl": 1, "stale": 1},
        {"ttl": 1, "vary": "cookie"},
        {"ttl": 1, "tags": ["A B"]},
    ],
    ids=["no time", "for days", "nothing said", "an unknown word", "an unknown kind", "no tag"],
)
def test_a_policy_that_is_none_is_refused(cache):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(A_ROUTE | {"cache": cache}, RoutePolicy)


def test_what_a_service_that_speaks_http_tells_clients_is_its_own_affair():
    http = {"call": None, "http": {"service": "search"}, "arguments": {}, "answer": {}}

    assert faults(**http) == []
    assert faults(**http, auth="required")
