from dataclasses import replace

import pytest

from edge.upstreams.headers import HOP_BY_HOP, Sender, to_client, to_service

WHO = Sender(address="192.0.2.7", scheme="http", host="shop.example", request_id="r-1", traceparent="00-t")


def passed(*offered, sender=WHO, credentials=()):
    return to_service(offered, sender, credentials=credentials)


def names(fields):
    return [name for name, _ in fields]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_what_belongs_to_one_connection_stays_there(name):
    assert name not in names(passed((name, "x")))
    assert to_client([(name, "x")]) == []


def test_what_the_connection_header_names_stays_there_but_never_what_the_edge_says():
    fields = dict(passed(("Connection", "close, X-Mine ,x-request-id"), ("connection", "via"), ("X-Mine", "1")))

    assert "x-mine" not in fields
    assert fields["x-request-id"] == "r-1"
    assert fields["via"] == "1.1 kirana"
    assert to_client([("connection", "X-Theirs"), ("x-theirs", "1"), ("x-other", "2")]) == [("x-other", "2")]


@pytest.mark.parametrize(
    "name",
    [
        "X-User-Id", "X_User_Id", "x-user", "X-Forwarded-For", "X-FORWARDED-HOST", "Forwarded", "Via", "X-Real-IP",
        "X-Request-ID", "traceparent", "X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "Remote-User",
        "X-Remote-User", "X-Consumer-Id", "X-Auth-Request-Email", "X-SSL-Client-Cert", "x_forwarded_for",
        "X-Kirana-Any", "Host", "Content-Length", "Expect", "Authorization", "Cookie", "X-Cart-Token", "X_Cart_Token",
    ],
)  # fmt: skip
def test_what_only_the_edge_may_say_is_not_believed_of_a_client(name):
    assert "forged" not in [value for _, value in passed((name, "forged"))]


def test_everything_else_passes_in_its_order_and_as_often_as_it_was_sent():
    offered = [("accept", "a"), ("x-tag", "1"), ("x-tag", "2"), ("idempotency-key", "k"), ("user-agent", "u")]

    assert passed(*offered)[: len(offered)] == offered


def test_a_secret_passes_only_where_the_route_says_so():
    offered = [("authorization", "Bearer t"), ("cookie", "c=1"), ("x-cart-token", "k")]

    assert [name for name in names(passed(*offered, credentials=["cookie"])) if name in dict(offered)] == ["cookie"]


def test_the_edge_says_who_asks():
    who = Sender(
        address="2001:db8::1", scheme="https", host='a"b', request_id="r", traceparent="t", caller_id="u-1",
        scopes={"b", "a"},
    )  # fmt: skip

    fields = dict(passed(sender=who))

    assert fields["x-user-id"] == "u-1"
    assert fields["x-user-scopes"] == "a b"
    assert fields["x-forwarded-for"] == "2001:db8::1"
    assert fields["forwarded"] == 'for="[2001:db8::1]";host="ab";proto=https'


def test_a_client_in_its_own_name_is_no_user():
    fields = dict(passed(sender=replace(WHO, caller_id="partner", is_client=True, scopes={"catalog:write"})))

    assert (fields["x-client-id"], fields["x-user-scopes"]) == ("partner", "catalog:write")
    assert "x-user-id" not in fields


def test_nobody_is_called_anything_when_nobody_is_known():
    assert not {"x-user-id", "x-user-scopes"} & set(names(passed()))


def test_what_a_trusted_proxy_says_is_continued():
    before = {
        "x-forwarded-for": "198.51.100.1", "x-forwarded-proto": "https", "x-forwarded-host": "real.example",
        "forwarded": "for=198.51.100.1", "via": "1.1 front",
    }  # fmt: skip
    who = Sender(address="10.0.0.1", scheme="http", host="h", request_id="r", traceparent="t", before=before)

    fields = dict(passed(sender=who))

    assert fields["x-forwarded-for"] == "198.51.100.1, 10.0.0.1"
    assert fields["x-forwarded-proto"] == "https"
    assert fields["x-forwarded-host"] == "real.example"
    assert fields["forwarded"] == 'for=198.51.100.1, for=10.0.0.1;host="h";proto=http'
    assert fields["via"] == "1.1 front, 1.1 kirana"


@pytest.mark.parametrize(
    "name",
    [
        "Server",
        "X-Powered-By",
        "Access-Control-Allow-Origin",
        "X-Accel-Redirect",
        "Alt-Svc",
        "Strict-Transport-Security",
    ],
)
def test_an_answer_says_nothing_that_is_the_edges_to_say(name):
    assert to_client([(name, "x")]) == []


def test_an_answers_own_fields_pass_each_as_often_as_it_stands_there():
    answered = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("etag", '"1"'), ("x-own", "é")]

    assert to_client(answered) == answered


@pytest.mark.parametrize(("name", "value"), [("x y", "1"), ("x", "a\x01b"), ("é", "1"), ("", "1")])
def test_a_field_that_cannot_be_written_makes_the_answer_unusable(name, value):
    with pytest.raises(ValueError):
        to_client([(name, value)])
