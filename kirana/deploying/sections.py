"""Changes single programs in the supervisor's configuration and leaves every other letter of it as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_SECTION = re.compile(r"^\[program:(?P<name>[^\]]+)\]\n", re.MULTILINE)
_VARIABLE = re.compile(r"(?P<name>\w+)=(?P<quote>[\"'])(?P<value>.*?)(?P=quote)(?:,|$)")


@dataclass(frozen=True)
class Section:
    """The text of one program, from its head line on."""

    name: str
    text: str

    @property
    def environment(self) -> dict[str, str]:
        """What the program is started with."""
        found = re.search(r"^environment=(.*)$", self.text, re.MULTILINE)
        line = found[1] if found else ""
        return {one["name"]: one["value"].replace("%%", "%") for one in _VARIABLE.finditer(line)}

    def with_environment(self, changes: Mapping[str, str | None]) -> Self:
        """The same program with these variables set, or taken away where there is no value."""
        merged = {**self.environment, **changes}
        line = ",".join(f"{name}={_quoted(value)}" for name, value in sorted(merged.items()) if value is not None)
        text = re.sub(r"^environment=.*$", lambda _: f"environment={line}", self.text, count=1, flags=re.MULTILINE)
        return type(self)(self.name, text)

    def renamed(self, name: str) -> Self:
        """The same program under another name, with a log of its own."""
        text = self.text.replace(f"[program:{self.name}]", f"[program:{name}]", 1)
        return type(self)(name, text.replace(f"/{self.name}.log\n", f"/{name}.log\n", 1))


@dataclass(frozen=True)
class Configuration:
    """The head, and the programs in their order."""

    head: str
    sections: tuple[Section, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Take the text apart; :attr:`text` puts it together again."""
        starts = list(_SECTION.finditer(text))
        ends = [each.start() for each in starts[1:]] + [len(text)]
        sections = [Section(one["name"], text[one.start() : end]) for one, end in zip(starts, ends, strict=True)]
        return cls(text[: starts[0].start()] if starts else text, tuple(sections))

    @property
    def text(self) -> str:
        """As the supervisor reads it."""
        return self.head + "".join(section.text for section in self.sections)

    def named(self, name: str) -> Section | None:
        """The program of this name."""
        return next((section for section in self.sections if section.name == name), None)

    def instances(self, part: str) -> list[Section]:
        """The programs that run this part: ``edge``, or a service's ``catalog-1`` and so on."""
        pattern = re.compile(r"edge" if part == "edge" else rf"{part}-\d+")
        return [section for section in self.sections if pattern.fullmatch(section.name)]

    def having(self, section: Section) -> Self:
        """With this program, in the place of its namesake if there is one."""
        if self.named(section.name) is None:
            return type(self)(self.head, (*self.sections, section))
        others = tuple(section if one.name == section.name else one for one in self.sections)
        return type(self)(self.head, others)

    def without(self, name: str) -> Self:
        """Without the program of this name."""
        return type(self)(self.head, tuple(one for one in self.sections if one.name != name))


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"{quote}{value.replace('%', '%%')}{quote}"
