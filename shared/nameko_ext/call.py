"""The call being served, as doors know it; what storage may know of it lives without Nameko."""

from shared.messaging.call import Call, Marks, current, serving

__all__ = ["Call", "Marks", "current", "serving"]
