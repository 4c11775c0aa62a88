"""Makes sure the shop has its administrator, with the credentials that the state of the stack names."""

from __future__ import annotations

from kirana.calls import Calls
from kirana.stack.state import StackState
from shared.contracts import identity

ADMIN_EMAIL = "admin@kirana.localhost"


def ensure_admin(state: StackState) -> identity.User:
    """Create the administrator, or set the password and scopes of the one there is. Raises ``Refusal``."""
    request = identity.EnsureStaff(
        username=state.admin_username,
        password=state.admin_password,
        email=ADMIN_EMAIL,
        scopes=list(identity.ADMIN_SCOPES),
    )
    with Calls(state) as calls:
        user: identity.User = calls.call(identity.ENSURE_STAFF, request)
    return user
