"""The documents an operator may change: the route table, and the limits, which are a part of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from edge.faults import BadRoutes
from edge.live.shared import KEY
from edge.routes import compiled
from edge.settings import PACKAGED_ROUTES
from kirana.stack.faults import StackFault

NAMES = ("routes", "limits")
ROUTES_KEY = KEY
_RATES = re.compile(r"^rates:.*?(?=^[^\s#])", re.MULTILINE | re.DOTALL)
_RATE = re.compile(r"(?P<name>\w+)=(?P<quota>\d+)/(?P<window>\d+)")


class Refused(StackFault):
    """The document cannot be used; nothing was changed."""

    exit_code = 78


def packaged() -> str:
    """The table that edges serve by while Consul holds none."""
    return PACKAGED_ROUTES.read_text(encoding="utf-8")


def checked(table: str) -> str:
    """The table, if an edge would take it. Raises :class:`Refused` naming every fault."""
    try:
        compiled(table)
    except BadRoutes as bad:
        raise Refused("The table cannot be used.", log=tuple(str(fault) for fault in bad.faults)) from None
    return table


def limits_of(table: str) -> str:
    """The limits alone, one a line, each with all that the table says of it."""
    rates = yaml.safe_load(table)["rates"]
    return "".join(f"{name}: {_flow(rate)}\n" for name, rate in rates.items())


def with_limits(table: str, wanted: Mapping[str, Any]) -> str:
    """The table with these limits in the place of its own; what is not named stays, limits and words of a limit.

    Raises :class:`Refused`.
    """
    rates = yaml.safe_load(table)["rates"]
    unknown = sorted(set(wanted) - set(rates))
    if unknown:
        raise Refused(f"No limit is called {', '.join(unknown)}.", cause=f"There are: {', '.join(rates)}.")
    lines = [f"  {name}: {_flow(_merged(rate, wanted.get(name, {})))}\n" for name, rate in rates.items()]
    changed, places = _RATES.subn(lambda _: "rates:\n" + "".join(lines) + "\n", table, count=1)
    if not places:
        raise Refused("This table is not written in blocks of lines.", mend="kirana config set routes FILE")
    return checked(changed)


def read_limits(text: str) -> dict[str, Any]:
    """``browse=600/60`` (quota and seconds; several by blanks), or a document as :func:`limits_of` writes it."""
    words = text.split()
    if words and all(_RATE.fullmatch(word) for word in words):
        found = [match for word in words if (match := _RATE.fullmatch(word))]
        return {one["name"]: {"quota": int(one["quota"]), "window": int(one["window"])} for one in found}
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise Refused("The limits are no YAML.", log=tuple(str(fault).splitlines())) from None
    if not isinstance(document, dict):
        raise Refused(
            "Limits are written as name=quota/seconds, or as a document of them.", mend="kirana config get limits"
        )
    return document


def _merged(rate: dict[str, Any], wanted: Any) -> Any:
    """What is no mapping is left for the check of the table to refuse."""
    return {**rate, **wanted} if isinstance(wanted, dict) else wanted


def _flow(rate: Any) -> str:
    return str(yaml.safe_dump(rate, default_flow_style=True, sort_keys=False)).strip()
