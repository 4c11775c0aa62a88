import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cursors import BadCursor, Cursors

CURSORS = Cursors("s" * 32)


@given(st.text(max_size=200), st.text(max_size=50))
def test_a_sealed_cursor_opens_again(cursor, scope):
    assert CURSORS.open(CURSORS.seal(cursor, scope=scope), scope=scope) == cursor


@given(st.data())
def test_no_changed_cursor_opens(data):
    sealed = CURSORS.seal("after 42", scope="products")
    position = data.draw(st.integers(0, len(sealed) - 1))
    changed = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda char: char != sealed[position]))
    if position == len(sealed) - 1:
        return

    with pytest.raises(BadCursor):
        CURSORS.open(sealed[:position] + changed + sealed[position + 1 :], scope="products")


@pytest.mark.parametrize("sealed", ["", "forged", "ä", "a" * 10_000, "====", "!!!!"])
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(BadCursor):
        CURSORS.open(sealed, scope="products")


def test_a_cursor_of_one_list_does_not_open_another():
    with pytest.raises(BadCursor):
        CURSORS.open(CURSORS.seal("after 42", scope="orders"), scope="products")


def test_another_edge_with_the_same_secret_opens_it_and_a_stranger_does_not():
    sealed = CURSORS.seal("after 42", scope="products")

    assert Cursors("s" * 32).open(sealed, scope="products") == "after 42"
    with pytest.raises(BadCursor):
        Cursors("t" * 32).open(sealed, scope="products")


def test_a_fingerprint_cannot_be_guessed_without_the_secret():
    assert CURSORS.fingerprint(b"password") != Cursors("t" * 32).fingerprint(b"password")
    assert len(CURSORS.fingerprint(b"password")) == 64
