"""What may be said of goods: each text with its form, and in words what that is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

IMAGE = r"^(https?://([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}(:[0-9]{1,5})?(/[^\s\x00]*)?|/(?![/\\])[^\s\x00]*|)(?!\n)$"
"""No address of this machine or its network, where a page or a fetcher of pictures could be sent: no bare numbers."""

Amount = Annotated[
    str,
    Meta(
        max_length=16,
        pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?(?!\n)$",
        description='An amount as text, like "25.99": at most twelve digits before the point and three after it.',
    ),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$", description="Three capital letters (ISO 4217).")]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]+(?!\n)$",
        description="Text of one line, without control characters.",
    ),
]
TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*(?!\n)$"
Description = Annotated[
    str, Meta(max_length=2500, pattern=TEXT, description="Text; of control characters only tabs and line breaks.")
]
"""At most 10,000 bytes on the wire: so an order's 200 lines, each with its whole product, are one message."""
Sku = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+(?!\n)$",
        description="Letters, digits, dots, underscores and hyphens.",
    ),
]
Image = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=IMAGE,
        description="A path of this site (one leading slash), or an http(s) address with a host name; or nothing.",
    ),
]
