"""A shop that is copied while it sells can be brought up elsewhere, and owes nobody anything."""

import shutil

import pytest

from kirana.backup import manifest
from kirana.backup.manifest import Damaged
from kirana.stack.state import load
from tests.builders.shop import a_product, an_admin
from tests.builders.waiting import eventually
from tests.chaos.shoppers import Shoppers
from tests.chaos.test_faults import audit
from tests.stack_fixture import buys, kirana

pytestmark = [pytest.mark.timeout(900), pytest.mark.takes(80)]  # two stacks come up, perhaps beside others


@pytest.fixture(scope="module")
def taken(stack, tmp_path_factory):
    """A back-up taken under load, and what customers had been promised before it began."""
    folder = tmp_path_factory.mktemp("taken") / "backup"
    with an_admin(stack) as admin:
        product_ids = [a_product(admin, stock=1_000_000)["id"] for _ in range(4)]
    with Shoppers(stack, product_ids, customers=4, seed="backup").running() as shoppers:
        eventually(lambda: len(shoppers.acknowledged) >= 5, within=90, what="orders")
        promised = list(shoppers.acknowledged)
        done = kirana(stack.home, "backup", str(folder))
        assert done.returncode == 0, done.stderr
        sold = len(shoppers.acknowledged)
        eventually(lambda: len(shoppers.acknowledged) > sold, within=90, what="an order after it")
    shoppers.acknowledged = promised
    return folder, shoppers


def test_the_shop_comes_up_elsewhere_with_every_order_that_was_promised_and_sells(taken, tmp_path):
    folder, shoppers = taken
    elsewhere = tmp_path / "home"
    try:
        done = kirana(elsewhere, "restore", str(folder))
        assert done.returncode == 0, done.stderr
        checked = audit(load(elsewhere), shoppers.write(tmp_path / "promised.jsonl"))
        assert checked.returncode == 0, checked.stdout
        buys(elsewhere)
        assert kirana(elsewhere, "restore", str(folder)).returncode == 9, "there is a shop now"
    finally:
        assert kirana(elsewhere, "down").returncode == 0


def test_a_damaged_back_up_is_refused_by_name_and_nothing_is_made(taken, tmp_path):
    folder = shutil.copytree(taken[0], tmp_path / "damaged", ignore=shutil.ignore_patterns("pg_wal"))
    (folder / "consul.json").write_text("[1]")

    done = kirana(tmp_path / "home", "restore", str(folder))

    assert done.returncode == Damaged.exit_code
    assert "changed: consul.json" in done.stderr
    assert "missing: postgres/pg_wal/" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_back_up_is_readable_by_its_owner_only_and_never_replaces_one(stack, taken):
    folder = taken[0]

    assert folder.stat().st_mode & 0o077 == 0
    assert all((folder / name).stat().st_mode & 0o077 == 0 for name in ("passwords.json", "consul.json", manifest.NAME))
    before = (folder / manifest.NAME).read_bytes()
    assert kirana(stack.home, "backup", str(folder)).returncode == 9
    assert (folder / manifest.NAME).read_bytes() == before
