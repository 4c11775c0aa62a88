import orjson
import pytest

from rpc_services.cart.journal import Journal, Stored
from shared.contracts.refusals import Unavailable

NOW = 1_000


def kept(journal, owner, *, expires_at=NOW + 1, closed_by="", **lines):
    fields = {"id": owner, "version": "1", "expires_at": str(expires_at), "closed_by": closed_by}
    fields |= {f"q:{product[1:]}": quantity for product, quantity in lines.items()}
    stored = Stored(owner=owner, version=1, expires_at=expires_at, fields=orjson.dumps(fields).decode())
    journal.keep(stored, now=NOW)


def test_only_carts_that_live_are_open_and_hold_something_are_counted(tmp_path):
    journal = Journal(tmp_path / "carts.sqlite")
    kept(journal, "user:full", p7="2", p8="1")
    kept(journal, "guest:full", p7="1")
    kept(journal, "user:empty")
    kept(journal, "guest:closed", closed_by="user-1", p7="1")
    kept(journal, "guest:expired", expires_at=NOW, p7="1")

    assert journal.count_open(now=NOW) == 2
    journal.close()


def test_a_journal_that_cannot_be_read_is_no_empty_one(tmp_path):
    (tmp_path / "carts.sqlite").write_text("this is no database, however long it may be" * 100)

    with pytest.raises(Unavailable):
        Journal(tmp_path / "carts.sqlite").count_open(now=NOW)
