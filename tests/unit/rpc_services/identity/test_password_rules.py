import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_services.identity.password_rules import faults_of, normalised
from rpc_services.identity.passwords import read_common_passwords

COMMON = read_common_passwords()


def faults(password, again=None, own_names=("anna.miller", "anna.miller@example.com", "anna.miller")):
    return faults_of(password, password if again is None else again, own_names=own_names, common=COMMON)


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


def test_the_same_password_from_another_keyboard_is_the_same():
    assert normalised("a\u0308pfel") == normalised("\u00e4pfel")


def test_the_list_of_common_passwords_is_in_the_form_that_is_looked_up():
    assert len(COMMON) > 500
    assert all(each == normalised(each).casefold() == each.strip() for each in COMMON)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_gets_an_answer_and_differing_ones_a_fault(password, again):
    found = faults(password, again)

    assert (password != again) == ("/password2" in {each["pointer"] for each in found})
