"""Waiting for a whole shop after a fault: breakers close and databases come back a little after they are ready."""

import httpx

from tests.builders.shop import Client, an_admin
from tests.builders.waiting import eventually

PATIENCE = 90


def ready(stack):
    """Whether the edge says that it can serve."""
    with Client(stack) as client:
        try:
            return client.get("/health/ready").status_code == 200
        except httpx.HTTPError:
            return False


def opened(stack):
    """The stack, once it is ready and somebody could log in and see its categories."""
    eventually(lambda: ready(stack), within=PATIENCE, what="the shop")
    eventually(lambda: _serves(stack), within=PATIENCE, every=0.5, what="a log-in", despite=(AssertionError,))
    return stack


def _serves(stack):
    with an_admin(stack) as admin:
        return admin.get("/api/categories").status_code == 200
