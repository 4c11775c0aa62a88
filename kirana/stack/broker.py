"""Runs a private RabbitMQ: its own node, cookie, port mapper and users, reachable from this machine only."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kirana.broker_definitions import Refused, give
from kirana.stack import definitions
from kirana.stack.faults import ServerFailed
from kirana.stack.home import Home
from kirana.stack.packages import rabbitmq_script
from kirana.stack.programs import Program, fingerprint

_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
management.rates_mode = basic
load_definitions = {definitions}
loopback_users.guest = true
heartbeat = 10
consumer_timeout = 1800000
max_message_size = 4194304
channel_max = 256
raft.wal_max_size_bytes = 64000000
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 512MB
tcp_listen_options.nodelay = true
tcp_listen_options.backlog = 512
log.console = true
log.console.level = info
log.connection.level = warning
"""
"""Batches of goods are near a megabyte, hence four as the largest message. The write-ahead log is in memory too."""


SCHEDULERS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
"""Two that do not spin while they wait: everything else of the shop runs on this machine, too."""


def program(home: Home, ports: Mapping[str, int], passwords: Mapping[str, str]) -> Program:
    """The broker, configured in ``home``."""
    script = rabbitmq_script()
    assert script is not None, "ensured before"  # noqa: S101 - the servers are ensured before anything is configured
    loaded = home.write("definitions.json", definitions.render(_of_users(passwords)))
    configuration = home.write("rabbitmq.conf", _CONFIGURATION.format(**ports, definitions=loaded))
    plugins = home.write("enabled_plugins", "[rabbitmq_management].\n")
    data = home.root / "rabbitmq"
    environment = {
        "HOME": str(data),  # the Erlang cookie lies there
        "RABBITMQ_NODENAME": f"kirana-{home.tag}@localhost",
        "RABBITMQ_BASE": str(data),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_DIST_PORT": str(ports["rabbitmq_distribution"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{SCHEDULERS} -kernel inet_dist_use_interface {{127,0,0,1}}",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the Erlang machine instead of standing before it
    }
    return Program(
        "rabbitmq", (str(script),), environment | fingerprint(configuration, plugins), stop_seconds=40, stop_group=False
    )


def _of_users(passwords: Mapping[str, str]) -> dict[str, str]:
    users = (*definitions.CALLS, "operator")
    return {user: passwords[f"amqp.{user}"] for user in users}


def load_definitions(home: Home, management: str) -> None:
    """Give a running broker the definitions that lie in ``home``. Raises :class:`ServerFailed`."""
    url = urlsplit(management)
    definitions_read = (home.conf / "definitions.json").read_bytes()
    try:
        give(f"http://{url.hostname}:{url.port}", url.username or "", url.password or "", definitions_read)
    except Refused as fault:
        raise ServerFailed(f"RabbitMQ refused its definitions: {fault}", mend="kirana reset") from None
    except OSError as fault:
        raise ServerFailed(f"RabbitMQ's management API does not answer: {fault}", mend="kirana up") from None
