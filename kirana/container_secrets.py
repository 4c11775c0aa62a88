"""Draws the secrets of a shop that runs in containers: one file each, as docker-compose.yml mounts them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from kirana import container_certificates, front_certificate
from kirana.configuration.tokens import file_of
from kirana.stack.definitions import CALLS, render
from kirana.stack.passwords import passwords

DATABASES = ("identity", "catalog", "order", "notification")


def write(folder: Path) -> list[str]:
    """Write what is missing into ``folder`` and answer the names of all files.

    Passwords once drawn are kept, and so is a certificate that was put there.
    The folder is closed to other users; the files in it are not, because a container's own user must read them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    files = contents(passwords(folder)) | front_certificate.ensure(folder) | container_certificates.ensure(folder)
    for name, text in files.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return sorted(files)


def contents(drawn: Mapping[str, str]) -> dict[str, str]:
    """The text of each secret by file name."""
    files = {f"{user}_amqp_url": f"amqp://{user}:{drawn[f'amqp.{user}']}@rabbitmq:5672/kirana" for user in CALLS}
    for service in DATABASES:
        password = drawn[f"database.{service}"]
        files[f"{service}_database_password"] = password
        files[f"{service}_database_url"] = f"postgresql://{service}:{password}@postgres:5432/kirana_{service}"
    return files | {
        "postgres_password": drawn["postgres"],
        "redis_carts_url": f"redis://:{drawn['redis.carts']}@redis-carts:6379/0",
        "redis_edge_url": f"redis://:{drawn['redis.edge']}@redis-edge:6379/0",
        "redis_carts.conf": _redis(drawn["redis.carts"], "appendonly yes", "appendfsync everysec", "dir /data"),
        "redis_edge.conf": _redis(drawn["redis.edge"], 'save ""', "maxmemory 256mb", "maxmemory-policy allkeys-lru"),
        "rabbitmq_definitions.json": render({user: drawn[f"amqp.{user}"] for user in (*CALLS, "operator")}),
        "operator_amqp_url": f"amqp://operator:{drawn['amqp.operator']}@rabbitmq:5672/kirana",
        "key_passphrase": drawn["identity.key_passphrase"],
        "cursor_secret": drawn["edge.cursor_secret"],
        "metrics_database_password": drawn["database.metrics"],
        "redis_passwords.json": json.dumps(
            {f"redis://redis-{of}:6379": drawn[f"redis.{of}"] for of in ("carts", "edge")}
        ),
        "grafana_password": drawn["grafana"],
        "elastic_password": drawn["elastic"],
        "shipper_password": drawn["elastic.shipper"],
        "kibana_password": drawn["elastic.kibana"],
        "kibana_key": drawn["kibana.key"],
        **_consul({name.removeprefix("consul."): text for name, text in drawn.items() if name.startswith("consul.")}),
    }


def _consul(drawn: Mapping[str, str]) -> dict[str, str]:
    """A token for each process, which Consul wants as a UUID, and what the servers have to know when they start."""
    tokens = {name: str(UUID(text)) for name, text in drawn.items() if name != "gossip"}
    known = {
        "encrypt": b64encode(bytes.fromhex(drawn["gossip"])).decode(),
        "acl": {"tokens": {"initial_management": tokens["first"], "agent": tokens["agent"]}},
    }
    return {file_of(name): token for name, token in tokens.items()} | {"consul.json": json.dumps(known, indent=2)}


def _redis(password: str, *lines: str) -> str:
    return "\n".join((*lines, f"requirepass {password}", ""))
