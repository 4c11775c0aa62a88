import pytest

from kirana.commands.shell import run_script


def test_a_bare_expression_shows_its_value(capsys):
    status = run_script("x = 20\nx + 1\n", {})

    assert capsys.readouterr().out == "21\n"
    assert status == 0


def test_the_names_given_are_at_hand(capsys):
    run_script("print(n.upper())", {"n": "abc"})

    assert capsys.readouterr().out == "ABC\n"


@pytest.mark.parametrize("source", ["1 / 0", "def", "undefined"])
def test_a_line_that_fails_shows_why_and_gives_status_1(capsys, source):
    status = run_script(source, {})

    assert status == 1
    assert "Error" in capsys.readouterr().err


def test_nothing_runs_after_the_line_that_failed(capsys):
    run_script("1 / 0\nprint('after')", {})

    assert "after" not in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("wish", "status"), [("3", 3), ("", 0), ("'text'", 1)])
def test_a_script_may_choose_its_own_status(wish, status):
    assert run_script(f"raise SystemExit({wish})", {}) == status


def test_a_failed_call_shows_the_operators_line_and_not_the_clients_insides(capsys):
    def call():
        try:
            raise OSError("a socket closed")  # noqa: TRY301 - a fault with a cause, as clients raise it
        except OSError as fault:
            raise LookupError("no such service") from fault

    run_script("x = 1\ncall()", {"call": call})

    shown = capsys.readouterr().err
    assert 'File "<stdin>", line 2' in shown
    assert "LookupError: no such service" in shown
    assert "socket" not in shown
    assert __file__ not in shown
