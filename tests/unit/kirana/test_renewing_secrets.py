import json
import subprocess
import sys

import pytest

from kirana.container_secrets import write
from kirana.stack.passwords import NAMES, forget, passwords


def test_only_the_passwords_that_were_named_are_drawn_once_more(tmp_path):
    before = passwords(tmp_path)

    forget(tmp_path, ["amqp.order", "redis.edge"])

    after = passwords(tmp_path)
    assert {name for name in NAMES if before[name] != after[name]} == {"amqp.order", "redis.edge"}


def test_a_name_that_does_not_exist_changes_nothing_and_names_those_that_do(tmp_path):
    before = passwords(tmp_path)

    with pytest.raises(ValueError, match=r"amqp\.orders: no such password.*amqp\.order"):
        forget(tmp_path, ["amqp.edge", "amqp.orders"])

    assert passwords(tmp_path) == before


def test_the_file_stays_closed_to_others(tmp_path):
    forget(tmp_path, ["postgres"])

    assert (tmp_path / "passwords.json").stat().st_mode & 0o077 == 0


def test_the_command_writes_every_file_that_holds_the_new_password_and_no_other(tmp_path):
    write(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}

    subprocess.run(
        [sys.executable, "-m", "kirana.cli", "secrets", tmp_path, "--renew", "redis.carts"],
        check=True,
        capture_output=True,
    )

    after = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    changed = {name for name in after if before.get(name) != after[name]}
    new = json.loads(after["passwords.json"])["redis.carts"]
    assert changed == {name for name, text in after.items() if new in text}
    assert changed >= {"passwords.json", "redis_carts_url", "redis_carts.conf"}


def secrets(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "kirana.cli", "secrets", *arguments], capture_output=True, text=True, check=False
    )


def test_without_what_was_drawn_before_nothing_is_renewed(tmp_path):
    refused = secrets(tmp_path, "--renew", "redis.carts")

    assert refused.returncode == 1
    assert "has no passwords.json" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.iterdir())


def test_secrets_of_a_shop_are_never_replaced_by_chance(tmp_path):
    write(tmp_path)
    (tmp_path / "passwords.json").unlink()
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}

    refused = secrets(tmp_path)

    assert refused.returncode == 1
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_it_says_whether_a_shop_gets_new_passwords(tmp_path):
    first, again = secrets(tmp_path / "new"), secrets(tmp_path / "new")

    assert "all of them new" in first.stderr
    assert "all of them" not in again.stderr
