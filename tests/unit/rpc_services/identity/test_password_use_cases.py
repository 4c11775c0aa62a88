import pytest

from rpc_services.identity.password_use_cases import change_password, new_password
from rpc_services.identity.use_cases import Gate, PasswordPolicy
from shared.contracts.identity import ChangePassword, TooManyAttempts, UserNotFound
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import FakeAccounts, FakeAttempts, FakePasswords, an_account

GOOD = "correct horse battery staple"
BETTER = "another good long password"


class Desk:
    def __init__(self):
        self.accounts, self.ended, self.session_id = FakeAccounts(), [], new_id()
        self.anna = an_account(username="anna", password_hash=f"hash of {GOOD}")
        self.accounts.add(self.anna)
        self.policy = PasswordPolicy(FakePasswords(), frozenset())
        self.gate = Gate(self.accounts.named, self.policy.passwords, FakeAttempts(FakeClock()), 1)

    def prepare(self, *, is_done=False, **fields):
        given = {
            "user_id": self.anna.id,
            "session_id": self.session_id,
            "current_password": GOOD,
            "password": BETTER,
            "password2": BETTER,
            "client_address": "192.0.2.1",
        }
        return new_password(
            ChangePassword(**given | fields),
            account_of=self.accounts.locked,
            gate=self.gate,
            policy=self.policy,
            is_done=lambda: is_done,
        )

    def change(self, new):
        def logout(user_id, *, reason, but):
            assert reason
            self.ended.append((user_id, but))

        change_password(new, accounts=self.accounts, logout=logout)


@pytest.fixture
def desk():
    return Desk()


def pointers(refused):
    return {each["pointer"] for each in refused.value.details["errors"]}


def test_the_new_password_is_kept_and_all_sessions_but_the_asking_one_end(desk):
    desk.change(desk.prepare())

    assert desk.accounts.locked(desk.anna.id).password_hash == f"hash of {BETTER}"
    assert desk.ended == [(desk.anna.id, desk.session_id)]


def test_all_faults_are_told_at_once_and_nothing_changes(desk):
    with pytest.raises(InvalidRequest) as refused:
        desk.prepare(current_password="wrong", password="short", password2="other")

    assert pointers(refused) == {"/current_password", "/password", "/password2"}
    assert not desk.ended


def test_ones_own_name_makes_no_better_password_than_at_the_beginning(desk):
    with pytest.raises(InvalidRequest) as refused:
        desk.prepare(password="anna@example.com", password2="anna@example.com")

    assert pointers(refused) == {"/password"}


def test_who_holds_a_stolen_session_cannot_guess_the_password_for_long(desk):
    for _ in range(10):
        with pytest.raises(InvalidRequest):
            desk.prepare(current_password="wrong")

    with pytest.raises(TooManyAttempts):
        desk.prepare()


def test_who_repeats_a_change_that_was_made_is_no_guesser(desk):
    desk.change(desk.prepare())

    for _ in range(20):
        with pytest.raises(InvalidRequest):
            desk.prepare(is_done=True)

    assert desk.prepare(current_password=BETTER)


def test_of_two_changes_at_once_the_second_has_checked_a_password_that_is_no_more(desk):
    first, second = desk.prepare(), desk.prepare(password="a third password here", password2="a third password here")
    desk.change(first)

    with pytest.raises(InvalidRequest) as refused:
        desk.change(second)

    assert pointers(refused) == {"/current_password"}
    assert len(desk.ended) == 1


@pytest.mark.parametrize("user_id", ["", "no id", "12345678-1234-4678-9234-567812345678"])
def test_who_has_no_password_cannot_change_it(desk, user_id):
    with pytest.raises(UserNotFound):
        desk.prepare(user_id=user_id)


def test_neither_hash_is_shown(desk):
    assert "hash of" not in repr(desk.prepare())


def test_a_guess_is_counted_though_the_new_password_is_refused_anyway(desk):
    for _ in range(10):
        with pytest.raises(InvalidRequest) as refused:
            desk.prepare(current_password="wrong", password="short", password2="short")
        assert pointers(refused) == {"/current_password", "/password"}

    with pytest.raises(TooManyAttempts):
        desk.prepare(password="short", password2="short")
    assert len(desk.policy.passwords.checked) == 10
