import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.checking import read
from shared.contracts.identity import RegisterUser, UpdateUser
from shared.contracts.mail_addresses import NOT_MAILABLE, faults_in, host_of, is_mailable
from shared.contracts.refusals import InvalidRequest

STRANGE = st.text(st.sampled_from("ab.@\"'\\()<>,;:[]=?_-+!#%é\u0130ß\u3002\x01\x7f\x85xn0 "), min_size=1, max_size=12)
GOOD = "correct horse battery staple"


@pytest.mark.parametrize(
    "address",
    ["anna@example.com", "a+b@example.com", "anna@exämple.com", "o'neil@example.com", "a@4.b4", "a@r3---sn.de"],
)
def test_an_address_that_mail_can_go_to_is_known(address):
    assert is_mailable(address)


@pytest.mark.parametrize(
    "address",
    [
        "a,b@example.com",
        "<a@example.com>",
        "a@b@c",
        "@example.com",
        "a@",
        "a(b@c",
        "änna@example.com",
        "a@..c",
        "a@b>",
        "a@[127.0.0.1]",
        "a@[::1]",
        "a(b)@example.com",
        "a@-b.com",
        "a@b-.com",
        "a@b_c.com",
        "a@b.com.",
        "a@[x",
        "a@[x>y",
        'a@["',
        "a@[@a",
        "a@1.2.3.4",
        "a@16909060",
        "a@b.0x7f",
        "a@exam\u00adple.com",
        "a@exam\u200bple.com",
        "a@exam\ufe00ple.com",
        "a@b.\uff11",
        "a@xn--a.com",
        "a@\u2603.de",
        "a@" + "b" * 64 + ".de",
    ],
)
def test_an_address_that_no_mail_can_go_to_is_known(address):
    assert not is_mailable(address)


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("straße.de", "xn--strae-oqa.de"),
        ("XN--bcher-KVA.de", "xn--bcher-kva.de"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("\u03b1\u03c2.gr", "xn--mxa8a.gr"),
        ("ex\u3002org", "ex.org"),
        ("Example.COM", "example.com"),
    ],
)
def test_mail_goes_to_the_host_that_browsers_would_go_to(domain, host):
    assert host_of(domain) == host


@given(local=STRANGE, domain=STRANGE)
def test_whatever_is_sent_as_an_address_is_judged(local, domain):
    assert is_mailable(f"{local}@{domain}") in {True, False}


def test_what_is_of_no_address_s_form_is_told_once_and_as_such():
    assert faults_in({"email": "nowhere"}) == faults_in({"email": 7}) == faults_in({}) == []
    assert faults_in({"email": "a" * 64 + "@" + "b" * 190}) == []
    assert faults_in({"email": "a@b_c.com"}) == [NOT_MAILABLE]


@pytest.mark.parametrize(
    ("kind", "given", "pointers"),
    [
        (
            RegisterUser,
            {"username": "!", "email": "a@b_c.com", "password": "short", "password2": GOOD},
            {"/username", "/email", "/password", "/password2"},
        ),
        (UpdateUser, {"user_id": "1", "email": "a@[127.0.0.1]", "phone_number": "x"}, {"/email", "/phone_number"}),
    ],
)
def test_an_address_that_no_mail_can_go_to_is_named_with_all_other_faults(kind, given, pointers):
    with pytest.raises(InvalidRequest) as refused:
        read(kind, given)

    told = [fault["pointer"] for fault in refused.value.details["errors"]]
    assert sorted(set(told)) == sorted(told)
    assert set(told) == pointers
