"""A certificate put in place as docs/operations.md says reaches a container that has the old files mounted."""

import os
import re
import subprocess

from kirana.container_secrets import write
from kirana.front_certificate import CERTIFICATE, KEY
from tests.builders.compose import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
TYPED = re.search(r"\*\*Certificate\.\*\*.*?```\n(.*?)\n```", PAGE, re.DOTALL)[1]


def test_who_holds_the_old_files_reads_the_new_certificate_before_nginx_is_told(tmp_path):
    """A mounted file is the file itself, as an open one is: what is moved to its name later is another."""
    secrets, new = tmp_path / "docker" / "secrets", tmp_path / "new"
    for folder, word in ((secrets, "old"), (new, "new")):
        folder.mkdir(parents=True)
        names = ("tls_certificate.pem", "tls_key.pem") if folder is secrets else ("fullchain.pem", "privkey.pem")
        for name in names:
            (folder / name).write_text(f"{word} {'key' if 'key' in name else 'chain'}")
    docker = tmp_path / "docker-in-its-place" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\ncat docker/secrets/tls_certificate.pem docker/secrets/tls_key.pem; echo "; $*"\n')
    docker.chmod(0o755)

    with (secrets / "tls_certificate.pem").open() as certificate, (secrets / "tls_key.pem").open() as key:
        done = subprocess.run(
            ["sh", "-ec", TYPED],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{docker.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        held = certificate.read(), key.read()

    assert held == ("new chain", "new key")
    assert done.stdout == "new chainnew key; compose exec nginx nginx -s reload\n"


def test_drawing_once_more_what_is_missing_leaves_the_files_that_containers_hold(tmp_path):
    write(tmp_path)
    before = [(tmp_path / name).stat().st_ino for name in (CERTIFICATE, KEY)]
    (tmp_path / CERTIFICATE).write_text("one that browsers trust")

    write(tmp_path)

    assert [(tmp_path / name).stat().st_ino for name in (CERTIFICATE, KEY)] == before
    assert (tmp_path / CERTIFICATE).read_text() == "one that browsers trust"
