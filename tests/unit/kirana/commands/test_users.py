"""Where the password of a new administrator comes from; what becomes of it is tried on a whole shop."""

import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.stack.faults import StackFault

NOBODY = {"KIRANA_AMQP_URL": "amqp://operator:hush@127.0.0.1:1/kirana"}


def admin(*arguments, **options):
    return CliRunner().invoke(build_app(), ["users", "admin", "asha", *map(str, arguments)], env=NOBODY, **options)


@pytest.mark.parametrize("given", ["", "\n", "\r\n"], ids=["nothing", "an empty line", "one from Windows"])
def test_no_password_is_told_before_anybody_is_asked(given):
    done = admin(input=given)

    assert isinstance(done.exception, StackFault)
    assert "No password was given" in str(done.exception)


def test_a_file_with_nothing_in_it_is_no_password(tmp_path):
    (tmp_path / "password").write_text("\n")

    assert "No password was given" in str(admin("--password-file", tmp_path / "password").exception)


def test_a_file_of_bytes_that_are_no_text_is_told(tmp_path):
    (tmp_path / "password").write_bytes(b"\xff\xfe")

    assert "no text" in str(admin("--password-file", tmp_path / "password").exception)


def test_no_option_takes_the_password_itself_where_everybody_could_read_it():
    assert admin("--password", "correct horse battery").exit_code == 2
