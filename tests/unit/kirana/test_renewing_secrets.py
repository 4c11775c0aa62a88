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
