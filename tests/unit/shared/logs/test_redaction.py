import pytest

from shared.logs.redaction import REDACTED, is_secret, redact, scrub


@pytest.mark.parametrize(
    "name",
    [
        "password", "password2", "Password", "refresh", "access", "access_token", "cart_token", "X-Cart-Token",
        "authorization", "http.request.headers.authorization", "email", "user.email", "client_secret", "Set-Cookie",
        "phone_number", "KIRANA_KEY_PASSPHRASE",
    ],
)  # fmt: skip
def test_a_field_of_this_name_is_secret(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["order_id", "user.id", "http.request.method", "route", "code", "accessed", "labels.method"]
)
def test_a_field_of_that_name_is_not(name):
    assert not is_secret(name)


def test_secrets_are_blanked_however_deep_they_lie():
    found = redact({"a": [{"b": {"password": "hunter2", "kept": 1}}], "email": "ada@example.com"})

    assert found == {"a": [{"b": {"password": REDACTED, "kept": 1}}], "email": REDACTED}


def test_a_structure_too_deep_to_look_into_is_not_shown():
    value = {"password": "hunter2"}
    for _ in range(20):
        value = {"inner": value}

    assert "hunter2" not in str(redact(value))


def test_mail_addresses_tokens_and_url_passwords_are_blanked_in_texts():
    text = scrub("ada.l+x@mail.example.com at amqp://order:s3cret@localhost:5672/v with eyJhbGciOi.eyJzdWIi.c2ln")

    assert "ada" not in text
    assert "s3cret" not in text
    assert "eyJ" not in text
    assert "localhost:5672" in text


def test_what_is_given_is_not_changed():
    given = {"password": "hunter2"}

    redact(given)

    assert given == {"password": "hunter2"}
