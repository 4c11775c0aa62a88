import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import passwords
from shared.contracts.checking import read
from shared.contracts.common_passwords import COMMON
from shared.contracts.identity import ChangePassword, IssueTokens, RegisterUser
from shared.contracts.passwords import faults_in, faults_of, normalised
from shared.contracts.refusals import InvalidRequest


def faults(password, again=None, own_names=("anna.miller", "anna.miller@example.com", "anna.miller")):
    return faults_of(password, password if again is None else again, own_names=own_names)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "Tr0ub4dor&3 and more",
        "zwölf Boxkämpfer jagen",
        "x7!Qp2#Lm9$Zr",
        "anna.miller likes tea",
    ],
)
def test_a_password_that_nobody_guesses_is_taken(password):
    assert faults(password) == []


def test_what_one_character_may_become_costs_nobody_time(monkeypatch):
    """U+FDFA becomes eighteen characters."""
    looked_at = []
    monkeypatch.setattr(passwords, "_are_neighbours", lambda *step: looked_at.append(step) or False)

    faults("\ufdfa" * 1024)

    assert 0 < len(looked_at) <= passwords.LONGEST


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "P@ssw0rd2024!", "Passw0rdPassw0rd", "iloveyouforever", "qwertyuiopasdf", "welcome2026!",
        "aaaaaaaaaaaa", "abcabcabcabc", "abababababab", "123456789012", "abcdefghijklm", "qwertyuiop[]",
        "anna.miller12", "Anna.Miller!",
    ],
)  # fmt: skip
def test_a_password_that_is_easily_guessed_is_refused(password):
    assert {each["pointer"] for each in faults(password)} == {"/password"}


def test_every_fault_is_named_at_once():
    found = [each["pointer"] for each in faults("aaaa", "bbbb")]

    assert found[-1] == "/password2"
    assert found.count("/password") >= 2


def test_twelve_characters_are_enough_and_eleven_are_not():
    assert faults("x7!Qp2#Lm9$Z") == []
    assert [each["detail"] for each in faults("x7!Qp2#Lm9$")] == ["A password has at least 12 characters."]


@pytest.mark.parametrize("password", ["\ufdfa", "\ufdfa\ufdfa", "Zq\u33fe7", "a\u0308" * 6 + "bcdef"])
def test_what_counts_are_characters_that_were_typed_and_come_out(password):
    """U+FDFA becomes eighteen characters, two marks for one letter become one: neither makes a password long."""
    assert "A password has at least 12 characters." in [each["detail"] for each in faults(password)]


def test_the_same_password_from_another_keyboard_is_the_same():
    assert normalised("a\u0308pfel") == normalised("\u00e4pfel")


def test_the_list_of_common_passwords_is_in_the_form_that_is_looked_up():
    assert len(COMMON) > 500
    assert all(each == normalised(each).casefold() == each.strip() for each in COMMON)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_gets_an_answer_and_differing_ones_a_fault(password, again):
    found = faults(password, again)

    assert (password != again) == ("/password2" in {each["pointer"] for each in found})


REQUEST = {
    "username": "anna.miller", "email": "anna.miller@example.com",
    "password": "x7!Qp2#Lm9$Zr", "password2": "x7!Qp2#Lm9$Zr",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({}, set()),
        ({"password": "short"}, {"/password", "/password2"}),
        ({"password": "short", "password2": "short"}, {"/password"}),
        ({"password": "anna.miller12", "password2": "other"}, {"/password", "/password2"}),
        ({"password": "passwordpassword", "password2": None}, {"/password"}),
        ({"password": 3, "username": [], "email": {}}, set()),
        ({"username": 3, "email": "no address", "password": "short", "password2": "x"}, {"/password", "/password2"}),
        ({"password": "x" * 2000}, set()),
    ],
)
def test_of_a_request_that_is_bad_elsewhere_the_password_is_judged_as_far_as_it_is_there(given, pointers):
    assert {each["pointer"] for each in faults_in(REQUEST | given)} == pointers


def test_a_request_without_anything_has_no_fault_of_its_password():
    assert faults_in({}) == []


@pytest.mark.parametrize("kind", [RegisterUser, ChangePassword])
def test_who_has_a_bad_field_hears_of_a_bad_password_at_once(kind):
    given = {"password": "short", "password2": "other", "username": "!", "email": "a@b.example", "role": "admin"}

    with pytest.raises(InvalidRequest) as refused:
        read(kind, given)

    assert {"/password", "/password2", "/role"} <= {each["pointer"] for each in refused.value.details["errors"]}


def test_whoever_logs_in_may_have_any_password():
    assert read(IssueTokens, {"username": "anna", "password": "a"}).password == "a"
