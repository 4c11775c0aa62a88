from pathlib import Path

import yaml

from kirana.container_secrets import write

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())


def test_every_secret_that_compose_mounts_is_drawn(tmp_path):
    names = write(tmp_path / "secrets")

    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} <= set(names)


def test_passwords_once_drawn_stay_and_the_folder_is_closed(tmp_path):
    folder = tmp_path / "secrets"
    write(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}

    write(folder)

    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o077 == 0
