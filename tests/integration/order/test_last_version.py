"""While a deployment is under way, and after it was taken back, the last version works on this version's orders."""

import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from rpc_services.order.desk import SqlDesk
from shared.messaging.call import Call
from tests.fakes.clock import FakeClock
from tests.fakes.orders import FakePayments, FakeStock, a_saga, an_order

HERE = Path(__file__).parent
ARCHIVE = HERE.parents[1] / "releases" / "last.tar.xz"
LONGEST_SECONDS = 60


@pytest.fixture
def last_version(engine, tmp_path):
    """What the last version's code, with nothing of ours beside it, makes of a user's orders."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def ask(user_id):
        command = [sys.executable, "-P", HERE / "as_last_version.py", url, user_id]
        told = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    return ask


def of_a_cart(order):
    return replace(order, terms=replace(order.terms, from_cart=True, cart_state="cart/4"))


def test_the_last_version_lists_gets_cancels_and_carries_on_what_this_one_wrote(scope, last_version):
    def desk(order):
        return SqlDesk(scope, Call(request_id="r", operation_id=order.operation_id), clock=FakeClock())

    from_cart, alone = (of_a_cart(an_order((1, 2))), an_order((2, 1)))
    for order in (from_cart, alone):
        a_saga(desk(order), FakeStock(), FakePayments()).begin(order, settled={from_cart.id})
    pending = of_a_cart(an_order(user_id="another"))
    pending = replace(pending, terms=replace(pending.terms, cart_state="another/1"))
    desk(pending).open(pending)

    seen = last_version("me")

    placed = [alone.id, from_cart.id]
    assert (seen["listed"], sorted(seen["got"]), sorted(seen["cancelled"])) == (placed, sorted(placed), sorted(placed))
    assert seen["taken_up"] == [pending.id]
