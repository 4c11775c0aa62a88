"""What a stage of a team's own is written against: these names stay. ``docs/plugins.md`` says how."""

from edge.plugins.messages import Caller, Headers, Refused, Request, Response
from edge.plugins.plugin import Handler, NoOptions, Options, Place, Plugin, Proceed, Settings

__all__ = [
    "Caller",
    "Handler",
    "Headers",
    "NoOptions",
    "Options",
    "Place",
    "Plugin",
    "Proceed",
    "Refused",
    "Request",
    "Response",
    "Settings",
]
