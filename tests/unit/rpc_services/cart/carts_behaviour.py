"""What any store of carts must do, in memory or in Redis. A subclass gives the fixture ``carts``."""

from itertools import count

import pytest

from rpc_services.cart import domain
from rpc_services.cart.domain import CartLine, Change, Operation, Owner, Snapshot, Verb
from shared.contracts.cart import CartClosed, CartNotFound, ItemNotFound, LimitExceeded
from shared.contracts.refusals import KeyReused, StaleVersion

_numbers = count()

APPLE, PEAR = 1, 2**63 - 1


def a_user():
    return Owner.user(f"u{next(_numbers)}")


def a_guest():
    return Owner.guest(f"token-{next(_numbers)}")


def an_operation(**fields):
    return Operation(id=f"op-{next(_numbers)}", **fields)


def a_line(product_id=APPLE, quantity=1, price="2.50"):
    snapshot = Snapshot(name=f"Thing {product_id}", image="", unit_price=price, currency="EUR")
    return CartLine(product_id=product_id, quantity=quantity, snapshot=snapshot)


def adding(product_id=APPLE, quantity=1, operation=None, *, opens=True, price="2.50"):
    return domain.add(a_line(product_id, quantity, price), operation, opens=opens)


def editing(verb, product_id=APPLE, quantity=0, **fields):
    return Change(verb=verb, lines=(CartLine(product_id=product_id, quantity=quantity),), **fields)


def contents(state):
    return {line.product_id: line.quantity for line in state.lines}


class CartsBehaviour:
    def test_a_cart_that_nobody_wrote_to_does_not_exist(self, carts):
        assert carts.look(a_user()) is None

    def test_the_first_add_opens_the_cart_at_version_one(self, carts):
        owner = a_user()

        carts.change(owner, adding(quantity=3))

        state = carts.look(owner)
        assert (state.version, contents(state), state.id != "") == (1, {APPLE: 3}, True)

    def test_what_may_not_open_a_cart_finds_none(self, carts):
        with pytest.raises(CartNotFound):
            carts.change(a_guest(), adding(opens=False))

    def test_ids_of_any_size_survive_and_lines_keep_the_order_in_which_they_came(self, carts):
        owner = a_user()
        carts.change(owner, adding(PEAR))
        carts.change(owner, adding(APPLE))

        state = carts.change(owner, adding(PEAR, 2)).state

        assert state.product_ids == [PEAR, APPLE]
        assert contents(state) == {PEAR: 3, APPLE: 1}

    def test_adding_again_takes_the_price_seen_then(self, carts):
        owner = a_user()
        carts.change(owner, adding(price="2.50"))

        state = carts.change(owner, adding(price="3.00")).state

        assert state.lines[0].snapshot.unit_price == "3.00"

    def test_the_same_operation_changes_the_cart_once(self, carts):
        owner, operation = a_user(), an_operation()
        carts.change(owner, adding(quantity=2, operation=operation))

        state = carts.change(owner, adding(quantity=2, operation=operation)).state

        assert (state.version, contents(state)) == (1, {APPLE: 2})

    def test_an_operation_id_may_not_be_used_for_something_else(self, carts):
        owner, operation = a_user(), an_operation(fingerprint="one")
        carts.change(owner, adding(operation=operation))

        with pytest.raises(KeyReused):
            carts.change(owner, adding(operation=Operation(id=operation.id, fingerprint="two")))

    @pytest.mark.parametrize("fingerprint", ["", "f"], ids=["without a key", "with a key"])
    def test_only_a_change_that_was_made_is_told_to_who_asks_for_it(self, carts, fingerprint):
        owner, operation = a_user(), an_operation(fingerprint=fingerprint)
        change = adding(quantity=2, operation=operation)
        assert carts.repeated(owner, change) is None
        carts.change(owner, adding(PEAR))
        assert carts.repeated(owner, change) is None
        assert contents(carts.look(owner)) == {PEAR: 1}

        made = carts.change(owner, change)

        assert carts.repeated(owner, change) == made
        assert carts.repeated(owner, adding(quantity=2)) is None

    def test_who_asks_for_a_change_under_the_key_of_another_is_refused(self, carts):
        owner, operation = a_user(), an_operation(fingerprint="one")
        carts.change(owner, adding(operation=operation))

        with pytest.raises(KeyReused):
            carts.repeated(owner, adding(operation=Operation(id=operation.id, fingerprint="two")))

    def test_a_change_with_a_key_is_known_after_any_number_of_others(self, carts):
        owner, first = a_user(), an_operation(fingerprint="first")
        carts.change(owner, adding(operation=first))
        for number in range(1, 151):
            quantity = 1 + number % 2
            carts.change(owner, editing(Verb.SET, quantity=quantity, operation=an_operation(fingerprint="other")))
            carts.change(owner, editing(Verb.SET, quantity=quantity, operation=an_operation()))

        state = carts.change(owner, adding(operation=first)).state

        assert contents(state) == {APPLE: 1}

    def test_a_late_repetition_of_a_change_that_changed_nothing_still_changes_nothing(self, carts):
        owner, operation = a_user(), an_operation()
        carts.change(owner, adding(quantity=2))
        carts.change(owner, editing(Verb.SET, quantity=2, operation=operation))
        carts.change(owner, editing(Verb.SET, quantity=5))

        state = carts.change(owner, editing(Verb.SET, quantity=2, operation=operation)).state

        assert contents(state) == {APPLE: 5}

    def test_a_line_over_99_is_refused_and_the_cart_stays_as_it_was(self, carts):
        owner = a_user()
        carts.change(owner, adding(quantity=98))

        with pytest.raises(LimitExceeded) as refusal:
            carts.change(owner, adding(quantity=2))

        assert refusal.value.details == {"product_id": APPLE, "wanted": 100, "limit": 99}
        assert contents(carts.look(owner)) == {APPLE: 98}

    def test_the_201st_product_is_refused(self, carts):
        owner = a_user()
        for product_id in range(1, 201):
            carts.change(owner, adding(product_id))

        with pytest.raises(LimitExceeded) as refusal:
            carts.change(owner, adding(201))

        assert refusal.value.details == {"product_id": 201, "wanted": 201, "limit": 200}
        assert carts.change(owner, adding(200)).state.version == 201

    def test_setting_the_quantity_it_has_is_no_change(self, carts):
        owner = a_user()
        carts.change(owner, adding(quantity=2))

        assert carts.change(owner, editing(Verb.SET, quantity=2)).state.version == 1

    @pytest.mark.parametrize("verb", [Verb.SET, Verb.REMOVE])
    def test_what_is_not_in_the_cart_cannot_be_edited(self, carts, verb):
        owner = a_user()
        carts.change(owner, adding(APPLE))

        with pytest.raises(ItemNotFound):
            carts.change(owner, editing(verb, PEAR, 1))

    def test_an_edit_of_another_version_is_refused_naming_the_current_one(self, carts):
        owner = a_user()
        carts.change(owner, adding())
        carts.change(owner, adding())

        with pytest.raises(StaleVersion) as refusal:
            carts.change(owner, editing(Verb.REMOVE, expected_version=1))

        assert refusal.value.details == {"version": 2}

    def test_clearing_leaves_an_empty_cart_at_the_next_version(self, carts):
        owner = a_user()
        carts.change(owner, adding(APPLE))
        carts.change(owner, adding(PEAR))

        state = carts.change(owner, Change(verb=Verb.CLEAR, expected_version=2)).state

        assert (state.version, contents(state)) == (3, {})

    def test_an_order_takes_out_what_was_ordered_and_leaves_the_rest(self, carts):
        owner = a_user()
        carts.change(owner, adding(APPLE, 5))
        carts.change(owner, adding(PEAR, 1))

        state = carts.change(owner, domain.subtract("o1", (a_line(APPLE, 2), a_line(PEAR, 3)))).state

        assert contents(state) == {APPLE: 3}

    def test_an_order_is_taken_out_once_however_late_it_is_told_again(self, carts):
        owner = a_user()
        carts.change(owner, adding(APPLE, 2))
        carts.change(owner, domain.subtract("o1", (a_line(APPLE, 2),)))
        for _ in range(150):
            carts.change(owner, adding(PEAR, 1, an_operation()))
            carts.change(owner, editing(Verb.REMOVE, PEAR, operation=an_operation()))
        carts.change(owner, adding(APPLE, 1))

        state = carts.change(owner, domain.subtract("o1", (a_line(APPLE, 2),))).state

        assert contents(state) == {APPLE: 1}

    def test_an_order_that_found_nothing_to_take_out_is_settled_all_the_same(self, carts):
        owner = a_user()
        carts.change(owner, domain.subtract("o1", (a_line(APPLE, 2),)))
        carts.change(owner, adding(APPLE, 2))

        state = carts.change(owner, domain.subtract("o1", (a_line(APPLE, 2),))).state

        assert contents(state) == {APPLE: 2}

    def test_a_merge_takes_the_larger_quantity_of_each_product(self, carts):
        guest, user = a_guest(), a_user()
        carts.change(guest, adding(APPLE, 2))
        carts.change(guest, adding(PEAR, 7))
        carts.change(user, adding(PEAR, 3))

        closed = carts.change(guest, domain.close("me")).state
        state = carts.change(user, domain.merge(closed)).state

        assert contents(state) == {PEAR: 7, APPLE: 2}

    def test_a_merge_that_is_repeated_does_not_bring_back_what_was_removed(self, carts):
        guest, user = a_guest(), a_user()
        carts.change(guest, adding(APPLE, 2))
        closed = carts.change(guest, domain.close("me")).state
        carts.change(user, domain.merge(closed))
        carts.change(user, editing(Verb.REMOVE, APPLE))

        state = carts.change(user, domain.merge(closed)).state

        assert contents(state) == {}

    def test_a_merge_into_a_full_cart_names_what_found_no_room(self, carts):
        guest, user = a_guest(), a_user()
        for product_id in range(1, 201):
            carts.change(user, adding(product_id))
        carts.change(guest, adding(1, 5))
        carts.change(guest, adding(777))
        closed = carts.change(guest, domain.close("me")).state

        merged = carts.change(user, domain.merge(closed))

        assert merged.refused == (777,)
        assert contents(merged.state)[1] == 5

    def test_a_closed_cart_keeps_its_content_and_takes_no_change(self, carts):
        guest = a_guest()
        carts.change(guest, adding(APPLE, 2))
        carts.change(guest, domain.close("me"))

        with pytest.raises(CartClosed):
            carts.change(guest, adding())

        assert contents(carts.change(guest, domain.close("me")).state) == {APPLE: 2}

    def test_a_cart_closed_for_one_user_cannot_be_had_by_another(self, carts):
        guest = a_guest()
        carts.change(guest, adding())
        carts.change(guest, domain.close("me"))

        with pytest.raises(CartClosed):
            carts.change(guest, domain.close("somebody else"))

    def test_one_operation_gives_out_one_token(self, carts):
        operation = an_operation()

        assert carts.token_for(operation, "first") == "first"
        assert carts.token_for(operation, "second") == "first"

    def test_guest_carts_live_30_days_and_others_90(self, carts):
        guest = carts.change(a_guest(), adding()).state
        user = carts.change(a_user(), adding()).state

        assert round((user.expires_at - guest.expires_at).total_seconds() / 86400) == 60
