"""Reads where Elasticsearch and Kibana are, who sets them up, and which passwords their users get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from shared.settings.reader import Reader, positive

PATIENCE_SECONDS = 300
"""A first start of Kibana on a small machine takes two minutes."""

FOLDER = Path(__file__).resolve().parents[2] / "logging"


class Part(StrEnum):
    """What can be set up by itself."""

    ELASTICSEARCH = "elasticsearch"
    KIBANA = "kibana"


@dataclass(frozen=True)
class SetupSettings:
    """An empty ``admin_password`` is for an Elasticsearch without security: no user is made, none is needed.

    The passwords of the two users are left as they are where none is given.
    """

    elasticsearch_url: str
    kibana_url: str
    authority: str = ""
    kibana_authority: str = ""
    admin: str = "elastic"
    admin_password: str = field(default="", repr=False)
    shipper_password: str = field(default="", repr=False)
    kibana_password: str = field(default="", repr=False)
    folder: Path = FOLDER
    patience_seconds: int = PATIENCE_SECONDS


def read_settings(environment: Mapping[str, str]) -> SetupSettings:
    """Raises :class:`shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    settings = SetupSettings(
        elasticsearch_url=reader.read("ELASTICSEARCH_URL", _address, "http://127.0.0.1:9200"),
        kibana_url=reader.read("KIBANA_URL", _address, "http://127.0.0.1:5601"),
        authority=reader.read("ELASTICSEARCH_CA", _file, ""),
        kibana_authority=reader.read("KIBANA_CA", _file, ""),
        admin=reader.read("ELASTICSEARCH_ADMIN", str, "elastic"),
        admin_password=reader.read("ELASTICSEARCH_ADMIN_PASSWORD", str, ""),
        shipper_password=reader.read("ELASTICSEARCH_PASSWORD", str, ""),
        kibana_password=reader.read("KIBANA_PASSWORD", str, ""),
        folder=reader.read("LOGGING_FOLDER", _folder, FOLDER),
        patience_seconds=reader.read("SETUP_PATIENCE", positive, PATIENCE_SECONDS),
    )
    reader.finish()
    return settings


def _address(text: str) -> str:
    first = text.partition(",")[0].strip().rstrip("/")
    if not first.startswith(("http://", "https://")):
        raise ValueError("an address such as https://elasticsearch:9200 is expected.")
    return first


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text}.")
    return text


def _folder(text: str) -> Path:
    if not (Path(text) / "elasticsearch").is_dir():
        raise ValueError(f"{text} has no folder 'elasticsearch'; the repository's folder 'logging' is expected.")
    return Path(text)
