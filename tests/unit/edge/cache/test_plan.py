from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from edge.tokens import Caller
from tests.unit.edge.cache.asking import a_plan, an_exchange

LISTED = {
    "name": "list_products", "path": "/api/products", "call": "catalog.list_products",
    "arguments": {"q": "query", "category": "query", "limit": "query"},
}  # fmt: skip
A_LIST = {**LISTED, "cache": {"tags": ["products", "category:{category}"]}}
PRIVATE = {
    "auth": "required", "answer": {"cache_control": "private, no-cache"}, "cache": {"private": True},
}  # fmt: skip
NAMES = ["q", "category", "limit", "utm_source", "Q"]


def a_caller(user="user-1", *scopes):
    return Caller(user_id=user, session_id="s", scopes=frozenset(scopes), expires_at=0)


def key(plan, **asked):
    return plan.key_of(an_exchange(**asked))


def of_list(query, plan=None):
    return key(plan or a_plan(**A_LIST), product=None, query=query)


def test_order_and_spelling_of_the_query_do_not_matter():
    assert of_list("q=a%20b&limit=5") == of_list("limit=5&q=a+b") == of_list("limit=%35&q=a%20b")


def test_every_value_that_the_target_sees_does():
    queries = ["", "q=", "q=a", "q=A", "q=a%00", "limit=5", "limit=05", "category=5", "q=a&limit=5", "q=a%26limit%3D5"]

    assert len({of_list(query) for query in queries}) == len(queries)


def test_a_query_that_the_contract_refuses_has_no_key():
    for query in ("utm_source=x", "q=a&x=1", "q=1&q=2", "q=%ff", "&".join(["q=1"] * 40), "q=" + "a" * 5000):
        assert of_list(query) is None


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=4)), max_size=4))
def test_two_queries_share_a_key_only_if_they_say_the_same(pairs):
    plan = a_plan(**A_LIST)
    found = of_list(urlencode(pairs), plan)

    is_answerable = len(dict(pairs)) == len(pairs) and set(dict(pairs)) <= {"q", "category", "limit"}
    assert (found is not None) == is_answerable
    if found is not None and pairs:
        assert found == of_list(urlencode(pairs[::-1]), plan)
        name, value = pairs[0]
        assert found != of_list(urlencode([(name, value + "x"), *pairs[1:]]), plan)


def test_a_get_with_a_body_has_no_key():
    exchange = an_exchange()
    exchange.body = {"a": 1}

    assert a_plan().key_of(exchange) is None


def test_another_word_in_the_policy_is_another_key():
    plans = [a_plan(), a_plan(cache={"ttl": 11}), a_plan(deadline=4.0), a_plan(answer={"cache_control": "public"})]

    assert len({key(plan) for plan in plans}) == len(plans)
    assert key(a_plan()) == key(a_plan())


def test_a_private_answer_is_kept_per_user_and_never_for_nobody():
    plan = a_plan(**PRIVATE)

    assert key(plan, caller=None) is None
    assert key(plan, caller=a_caller("one")) != key(plan, caller=a_caller("two"))
    assert key(plan, caller=a_caller("one")) == key(plan, caller=a_caller("one", "catalog:write"))


def test_what_a_service_told_to_more_scopes_is_not_given_to_fewer():
    plan = a_plan(**PRIVATE, call=None, arguments={}, http={"service": "reports"})
    keys = [key(plan, caller=a_caller("one", *scopes)) for scopes in ((), ("catalog:write",), ("edge:admin",))]

    assert len(set(keys)) == 3
    assert key(plan, caller=a_caller("one", "b", "a")) == key(plan, caller=a_caller("one", "a", "b"))


def test_by_class_says_what_kind_of_caller_and_not_who():
    plan = a_plan(auth="optional", cache={"vary": "caller-class"})
    guest, one, two, staff = (
        key(plan, caller=caller) for caller in (None, a_caller("1"), a_caller("2"), a_caller("3", "edge:admin"))
    )

    assert one == two
    assert len({guest, one, staff}) == 3


def test_the_key_never_depends_on_a_header():
    hostile = {"X-Forwarded-Host": "evil", "Host": "evil", "Accept": "text/xml", "Accept-Language": "de", "Cookie": "a"}

    assert key(a_plan(), headers=hostile) == key(a_plan())


def test_tags_name_what_the_request_is_about():
    plan = a_plan(**A_LIST)

    everything = plan.tags_of(an_exchange(product=None))
    of_category = plan.tags_of(an_exchange(product=None, query="category=7"))

    assert everything == ("all", "path:/api/products", "products")
    assert of_category == ("all", "path:/api/products", "products", "category:7")
    assert a_plan().tags_of(an_exchange()) == ("all", "path:/api/products/7", "product:7")


def test_a_service_that_speaks_http_sees_the_query_as_it_came_so_all_of_it_counts():
    plan = a_plan(call=None, arguments={}, http={"service": "search"})

    assert len({key(plan, query=query) for query in ("", "a=1&b=2", "b=2&a=1", "utm=1")}) == 4
