"""The local stack's front: nginx before two versions of the edge, each request sent to one of them by weight.

A weight is a number of empty files that nginx looks for at every request, so that changing it ends no connection and
starts no process: reloading nginx would close idle connections under the hands of clients who are just sending.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kirana.stack.home import Home
from kirana.stack.programs import Program, fingerprint
from kirana.stack.state import CHECKOUT

NAME = "front"
FOLDER = "front"
"""Where nginx is started, and nobody else: it writes titles over the mark that others of a stack are known by."""

SLOTS = 100

PLACE = CHECKOUT / "docker" / "nginx"
"""What the nginx of the containers says of a request that no edge answered, and how it is found, holds for this one."""

_SHARED = tuple(PLACE / name for name in ("spooled.conf", "answering.conf", "spooled.sh"))
_SPOOLED_CONF, _ANSWERING_CONF, _SPOOLED = _SHARED

_CONFIGURATION = """\
daemon off;
{user}worker_processes 2;
pid {run}/front.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    map "" $spool {{ default "{spool}"; }}
    map "" $environment {{ default local; }}
    map "" $instance {{ default {name}; }}
    include "{spooled}";
    root {weight};
    server_tokens off;
    client_max_body_size 2m;
    client_body_temp_path {temporary}/body;
    proxy_temp_path {temporary}/proxy;
    fastcgi_temp_path {temporary}/fastcgi;
    uwsgi_temp_path {temporary}/uwsgi;
    scgi_temp_path {temporary}/scgi;
    keepalive_requests 1000000;
    split_clients "$request_id" $slot {{
{slots}
        * 99;
    }}
    upstream main {{
        server 127.0.0.1:{main} max_fails=0;
        keepalive 64;
        keepalive_timeout 10s;
    }}
    upstream canary {{
        server 127.0.0.1:{canary} max_fails=0;
        server 127.0.0.1:{main} max_fails=0 backup;
        keepalive 64;
        keepalive_timeout 10s;
    }}
    server {{
        listen 127.0.0.1:{front} backlog=1024;
        include "{answering}";
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Request-Id $named;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
        proxy_next_upstream_tries 2;
        proxy_buffering off;
        proxy_request_buffering on;
        proxy_read_timeout 1h;
        location / {{
            set $colour main;
            if (-f {weight}/$slot) {{ set $colour canary; }}
            if ($is_for_one) {{ return 418; }}
            proxy_pass http://$colour;
        }}
        location @once {{
            if ($upstream_addr) {{ set $colour main; }}
            proxy_next_upstream off;
            proxy_pass http://$colour;
        }}
    }}
}}
"""
"""Where the new version cannot serve a request that changes nothing, the old one does. A change the old one gets only
where the new one took no connection: what was sent once is never sent again (for PUT and DELETE: ``@once``).

Edges keep idle connections for 30 s; ours to them go after 10, so that none is used that an edge is about to close.
Nothing is served from the root, but nginx looks that it is there before it writes to the spool.
"""


def nginx() -> Path | None:
    """The server, if this machine has one."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def is_wanted(home: Home) -> bool:
    """Whether this stack had a front once; from then on it keeps it, for clients know its address."""
    return _folder(home).is_dir() and nginx() is not None


def program(home: Home, chosen: dict[str, int]) -> Program:
    """The front before the edge of this stack."""
    folder = _folder(home)
    for name in ("weight", "temporary"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = home.write(
        "front.conf",
        _CONFIGURATION.format(
            user="user root;\n" if os.geteuid() == 0 else "",
            run=home.run,
            temporary=folder / "temporary",
            weight=folder / "weight",
            spool=home.root / "spool",
            name=NAME,
            spooled=_SPOOLED_CONF,
            answering=_ANSWERING_CONF,
            slots="\n".join(f"        1% {slot:02};" for slot in range(SLOTS - 1)),
            main=chosen["edge"],
            canary=chosen["canary"],
            front=chosen["front"],
        ),
    )
    lines = home.root / "spool" / f"{NAME}.jsonl"
    command = ("sh", str(_SPOOLED), str(lines), str(nginx()), "-e", "stderr", "-c", str(path))
    environment = fingerprint(path, *_SHARED) | {"TZ": "UTC"}
    return Program(NAME, command, environment, stop_signal="QUIT", stop_group=False, folder=folder)


def weigh(home: Home, percent: int) -> None:
    """Send so many of a hundred requests to the canary, from the next one on."""
    folder = _folder(home) / "weight"
    folder.mkdir(parents=True, exist_ok=True)
    for slot in range(SLOTS):
        place = folder / f"{slot:02}"
        if slot < percent:
            place.touch()
        else:
            place.unlink(missing_ok=True)


def weight(home: Home) -> int:
    """How many of a hundred requests go to the canary."""
    folder = _folder(home) / "weight"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _folder(home: Home) -> Path:
    return home.root / FOLDER
