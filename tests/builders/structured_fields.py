"""As much of structured fields (RFC 9651) as limits use: a list of strings with integer parameters."""

import re

_MEMBER = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]*)"((?:;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)')


def members(text):
    """The list, as a mapping; fails for what is no such list."""
    found = {}
    for part in re.split(r"[ \t]*,[ \t]*", text):
        member = _MEMBER.fullmatch(part)
        assert member, text
        parameters = (pair.split("=") for pair in member[2].split(";")[1:])
        found[member[1]] = {name: int(value) for name, value in parameters}
    return found
