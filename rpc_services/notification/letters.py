"""Writes the shop's letters from its templates: a subject line, an empty line, and the text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rpc_services.notification.domain import Letter

_SUBJECT = "Subject: "


class TemplateLetters:
    """Letters from the files in ``templates/``. All of ``templates`` must be there when the process starts."""

    def __init__(self, templates: Collection[str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            loader=PackageLoader("rpc_services.notification"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
        )
        environment.filters["oneline"] = _one_line
        self._templates = {name: environment.get_template(f"{name}.txt") for name in templates}

    def write(self, template: str, data: Mapping[str, Any]) -> Letter:
        """Raises Jinja's ``UndefinedError`` when the template wants what the event does not tell."""
        head, _, text = self._templates[template].render(data).partition("\n\n")
        return Letter(subject=_one_line(head.removeprefix(_SUBJECT)), text=text)


def _one_line(text: str) -> str:
    """A name is a name, whatever its author put into it."""
    return " ".join(text.split())
