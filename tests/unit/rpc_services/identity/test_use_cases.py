import pytest

from rpc_services.identity.use_cases import (
    Gate,
    PasswordPolicy,
    ensure_staff,
    get_user,
    get_users,
    register_user,
    update_user,
)
from shared.contracts.identity import (
    EmailTaken,
    EnsureStaff,
    GetUser,
    GetUsers,
    InvalidCredentials,
    IssueTokens,
    RegisterUser,
    TooManyAttempts,
    UpdateUser,
    UsernameTaken,
    UserNotFound,
)
from shared.contracts.refusals import InvalidRequest, Unavailable
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import FakeAccounts, FakeAttempts, FakePasswords, an_account

GOOD = "correct horse battery staple"


@pytest.fixture
def accounts():
    return FakeAccounts()


@pytest.fixture
def passwords():
    return FakePasswords()


@pytest.fixture
def policy(passwords):
    return PasswordPolicy(passwords, frozenset({"password"}))


@pytest.fixture
def gate(accounts, passwords):
    return Gate(accounts.named, passwords, FakeAttempts(FakeClock()), 1)


def registration(**fields):
    given = {"username": "anna", "password": GOOD, "password2": GOOD, "email": "anna@example.com"}
    return RegisterUser(**given | fields)


def login(password=GOOD, username="anna", address="192.0.2.1"):
    return IssueTokens(username=username, password=password, client_address=address)


def nobody_can_say(username):
    raise Unavailable(retry_after=1)


def register(request, accounts, policy):
    hashed = policy.hashed(request, request.password2)
    return register_user(request, hashed, accounts=accounts, new_id=new_id)


class TestRegistering:
    def test_who_registers_is_told_who_they_are_and_is_found(self, accounts, policy):
        user = register(registration(first_name="Anna"), accounts, policy)

        assert (user.username, user.email, user.first_name) == ("anna", "anna@example.com", "Anna")
        assert get_user(GetUser(user_id=user.id), accounts=accounts) == user

    def test_only_a_hash_of_the_password_is_kept(self, accounts, policy):
        user = register(registration(), accounts, policy)

        assert accounts.locked(user.id).password_hash == f"hash of {GOOD}"

    def test_all_faults_are_told_at_once_and_nothing_is_kept(self, accounts, policy):
        with pytest.raises(InvalidRequest) as refused:
            register(registration(password="short", password2="other", email="a,b@example.com"), accounts, policy)

        assert {each["pointer"] for each in refused.value.details["errors"]} == {"/password", "/password2", "/email"}
        assert not accounts.by_id

    @pytest.mark.parametrize(
        ("fields", "refusal"),
        [({"username": "ANNA", "email": "b@example.com"}, UsernameTaken), ({"username": "berta"}, EmailTaken)],
    )
    def test_what_another_account_has_is_taken(self, accounts, policy, fields, refusal):
        register(registration(), accounts, policy)

        with pytest.raises(refusal):
            register(registration(**fields), accounts, policy)


class TestReading:
    @pytest.mark.parametrize("user_id", ["", "no id", "12345678-1234-4678-9234-567812345678"])
    def test_who_is_not_there_is_not_found(self, accounts, user_id):
        with pytest.raises(UserNotFound):
            get_user(GetUser(user_id=user_id), accounts=accounts)

    def test_of_many_those_that_exist_come_once(self, accounts):
        account = an_account()
        accounts.add(account)

        users = get_users(GetUsers(user_ids=[account.id, "no id", new_id(), account.id]), accounts=accounts)

        assert [user.id for user in users] == [account.id]


class TestTheGate:
    @pytest.fixture
    def anna(self, accounts):
        account = an_account(username="anna", password_hash=f"hash of {GOOD}")
        accounts.add(account)
        return account

    def test_the_right_password_opens_whatever_the_case_of_the_name(self, gate, anna):
        assert gate.admit(login(username="ANNA")) == anna

    @pytest.mark.usefixtures("anna")
    def test_a_wrong_password_and_an_unknown_user_get_the_same_answer_after_the_same_work(self, gate, passwords):
        answers = []
        for request in (login("wrong"), login(username="nobody")):
            with pytest.raises(InvalidCredentials) as refused:
                gate.admit(request)
            answers.append(refused.value.to_wire())

        assert answers[0] == answers[1]
        assert len(passwords.checked) == 2

    @pytest.mark.usefixtures("anna")
    def test_after_ten_wrong_tries_even_the_right_password_waits_and_is_not_looked_at(self, gate, passwords):
        for _ in range(10):
            with pytest.raises(InvalidCredentials):
                gate.admit(login("wrong"))

        with pytest.raises(TooManyAttempts) as refused:
            gate.admit(login())

        assert 1 <= refused.value.details["retry_after"] <= 61
        assert len(passwords.checked) == 10

    def test_who_guesses_from_elsewhere_does_not_lock_the_owner_out(self, gate, anna):
        for _ in range(300):
            with pytest.raises((InvalidCredentials, TooManyAttempts)):
                gate.admit(login("wrong"))

        assert gate.admit(login(address="198.51.100.7")) == anna

    @pytest.mark.usefixtures("anna")
    def test_many_addresses_together_get_a_hundred_guesses_at_one_account(self, gate, passwords):
        for number in range(120):
            with pytest.raises((InvalidCredentials, TooManyAttempts)):
                gate.admit(login("wrong", address=f"198.51.100.{number}"))

        assert len(passwords.checked) == 100

    def test_a_thousand_machines_that_guess_do_not_lock_the_owner_out_of_a_house_they_are_known_in(self, gate, anna):
        gate.admit(login(address="203.0.113.5"))
        for number in range(150):
            with pytest.raises((InvalidCredentials, TooManyAttempts)):
                gate.admit(login("wrong", address=f"198.51.100.{number}"))

        with pytest.raises(TooManyAttempts):
            gate.admit(login(address="192.0.2.200"))
        assert gate.admit(login(address="203.0.113.5")) == anna

    @pytest.mark.usefixtures("anna")
    def test_even_where_the_owner_is_known_guesses_are_few(self, gate, passwords):
        gate.admit(login())
        for _ in range(30):
            with pytest.raises((InvalidCredentials, TooManyAttempts)):
                gate.admit(login("wrong"))

        assert len(passwords.checked) == 11

    def test_a_closed_account_answers_as_a_wrong_password_does_after_the_same_work(self, gate, accounts, passwords):
        accounts.add(an_account(username="anna", password_hash=f"hash of {GOOD}", is_disabled=True))

        with pytest.raises(InvalidCredentials):
            gate.admit(login())

        assert passwords.checked == [f"hash of {GOOD}"]

    def test_unknown_names_are_throttled_just_as_known_ones(self, gate):
        for _ in range(10):
            with pytest.raises(InvalidCredentials):
                gate.admit(login(username="nobody"))

        with pytest.raises(TooManyAttempts):
            gate.admit(login(username="nobody"))

    def test_an_address_that_tries_many_names_is_throttled(self, gate):
        for number in range(30):
            with pytest.raises(InvalidCredentials):
                gate.admit(login(username=f"user{number}"))

        with pytest.raises(TooManyAttempts):
            gate.admit(login(username="another"))

    @pytest.mark.usefixtures("anna")
    def test_success_forgets_the_failures_before_it(self, gate):
        for _ in range(3):
            for _ in range(9):
                with pytest.raises(InvalidCredentials):
                    gate.admit(login("wrong", address=""))
            gate.admit(login(address=""))

    def test_a_try_that_found_no_room_to_be_checked_is_not_counted(self, gate, anna, passwords):
        passwords.is_full = True
        for _ in range(40):
            with pytest.raises(Unavailable):
                gate.admit(login())

        passwords.is_full = False
        assert gate.admit(login()) == anna

    def test_a_try_whose_account_could_not_be_looked_up_is_not_counted(self, accounts, passwords, anna):
        attempts = FakeAttempts(FakeClock())
        cut_off = Gate(nobody_can_say, passwords, attempts, 1)
        for _ in range(40):
            with pytest.raises(Unavailable):
                cut_off.admit(login())

        assert Gate(accounts.named, passwords, attempts, 1).admit(login()) == anna


class TestTheProfile:
    @pytest.fixture
    def anna(self, accounts):
        account = an_account(username="anna", first_name="Anna")
        accounts.add(account)
        return account

    def test_what_is_given_changes_and_the_rest_stays(self, accounts, anna):
        user = update_user(UpdateUser(user_id=anna.id, last_name="Berg", first_name=""), accounts=accounts)

        assert (user.username, user.email, user.first_name, user.last_name) == ("anna", anna.email, "", "Berg")
        assert get_user(GetUser(user_id=anna.id), accounts=accounts) == user

    def test_an_address_to_which_nothing_can_be_sent_is_not_taken(self, accounts, anna):
        with pytest.raises(InvalidRequest) as refused:
            update_user(UpdateUser(user_id=anna.id, email="a,b@example.com"), accounts=accounts)

        assert [each["pointer"] for each in refused.value.details["errors"]] == ["/email"]

    def test_the_address_of_another_is_taken(self, accounts, anna):
        accounts.add(an_account(username="berta", email="berta@example.com"))

        with pytest.raises(EmailTaken):
            update_user(UpdateUser(user_id=anna.id, email="BERTA@example.com"), accounts=accounts)

    @pytest.mark.parametrize("user_id", ["", "no id", "12345678-1234-4678-9234-567812345678"])
    def test_who_is_not_there_cannot_be_changed(self, accounts, user_id):
        with pytest.raises(UserNotFound):
            update_user(UpdateUser(user_id=user_id, first_name="X"), accounts=accounts)


class TestStaff:
    @pytest.fixture
    def ended(self):
        return []

    @pytest.fixture
    def ensure(self, accounts, policy, ended):
        def ensure(password=GOOD, scopes=("edge:admin",)):
            request = EnsureStaff(username="admin", password=password, email="admin@example.com", scopes=list(scopes))

            def logout(user_id, *, reason, but=""):
                assert reason
                assert not but
                ended.append(user_id)

            return ensure_staff(request, accounts=accounts, policy=policy, logout=logout, new_id=new_id)

        return ensure

    def test_staff_is_created_with_its_scopes(self, ensure, accounts):
        user = ensure()

        assert accounts.locked(user.id).scope == "edge:admin"

    def test_saying_the_same_again_changes_nothing_and_ends_no_session(self, ensure, accounts, ended):
        before = accounts.locked(ensure().id)

        after = accounts.locked(ensure().id)

        assert after == before
        assert not ended

    @pytest.mark.parametrize("change", [{"password": "another good long one"}, {"scopes": ["catalog:write"]}])
    def test_another_password_or_other_scopes_end_all_sessions(self, ensure, ended, change):
        user = ensure()

        ensure(**change)

        assert ended == [user.id]

    def test_staff_may_not_have_a_weak_password_either(self, ensure):
        with pytest.raises(InvalidRequest):
            ensure(password="password1234")
