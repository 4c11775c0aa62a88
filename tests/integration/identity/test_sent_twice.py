"""Every change whose answer is kept, through identity's own doors: sent twice, it has one effect and one answer."""

import pytest
from sqlalchemy import select

from rpc_services.identity.assembly import assemble
from rpc_services.identity.service import Service
from rpc_services.identity.tables import login_attempts
from rpc_services.identity.throttle import counts_of
from shared.contracts import identity
from shared.contracts import identity_operators as operators
from shared.contracts.refusals import InvalidRequest, KeyReused
from shared.messaging.transactions import Scope
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.builders.postgres import an_engine_of
from tests.builders.sent_twice import Doors, everything_in

PASSWORD, OTHER = "a good long password", "another good long one"
MOMENTS = ["looked up the operation", "hashed the password"]
KEEPING = [method for method in identity.METHODS if method.mutating and method.keeps_answer]


def a_name():
    return f"user-{new_id()[-12:]}"


def staff(name, password):
    return identity.EnsureStaff(username=name, password=password, email=f"{name}@example.com", scopes=["catalog:write"])


class House:
    """Identity with somebody in it who is logged in, and what can be asked about them."""

    def __init__(self, doors):
        self.doors = doors

    def wish(self, method):
        """A request that changes something, and would do so, or be refused, a second time."""
        return getattr(self, method.name)()

    def register_user(self):
        name = a_name()
        return identity.RegisterUser(username=name, password=PASSWORD, password2=PASSWORD, email=f"{name}@example.com")

    def update_user(self):
        return identity.UpdateUser(user_id=self._somebody().id, first_name="Ada")

    def change_password(self):
        user = self._somebody()
        return identity.ChangePassword(
            user_id=user.id,
            session_id=self._session_of(user),
            current_password=PASSWORD,
            password=OTHER,
            password2=OTHER,
        )

    def revoke_session(self):
        user = self._somebody()
        return identity.RevokeSession(user_id=user.id, session_id=self._session_of(user))

    def ensure_staff(self):
        return staff(a_name(), PASSWORD)

    def switch_user(self):
        return operators.SwitchUser(username=self._somebody().username, disabled=True)

    def remove_client(self):
        added = self.doors.told(identity.ADD_CLIENT, operators.AddClient(name=a_name(), scopes=["catalog:write"]))
        return operators.RemoveClient(client_id=added.client_id)

    def rotate_signing_keys(self):
        return operators.RotateSigningKeys(compromised=True)

    def lets_in(self, name, password):
        login = identity.IssueTokens(username=name, password=password)
        return "access" in self.doors.call(identity.ISSUE_TOKENS, login).said

    def _somebody(self):
        return self.doors.told(identity.REGISTER_USER, self.register_user())

    def _session_of(self, user):
        assert self.lets_in(user.username, PASSWORD)
        asked = identity.ListSessions(user_id=user.id, session_id="")
        return self.doors.told(identity.LIST_SESSIONS, asked)[0].id


class Overtaken(Scope):
    """Transactions of a run that another run of the same operation overtakes, from beginning to end, at one moment."""

    def __init__(self, engine, moment, other_run):
        super().__init__(engine)
        self._moment, self._other_run = moment, other_run
        self.looked = 0

    def wait_for_first_run(self, call, **more):
        found = super().wait_for_first_run(call, **more)
        self.looked += 1
        if self.looked == 1:
            self._reach(MOMENTS[0])
        return found

    def once(self, work):
        self._reach(MOMENTS[1])
        return super().once(work)

    def _reach(self, moment):
        if moment == self._moment:
            self._other_run()


def tries_counted(engine, user, *, since):
    """How many of the counters of this user's tries are paid for up to a later moment."""
    keys = [count.key for count in counts_of(user.username, "", scale=1)]
    owing = select(login_attempts.c.key).where(login_attempts.c.key.in_(keys), login_attempts.c.paid_until > since)
    with engine.connect() as connection:
        return len(connection.execute(owing).all())


@pytest.fixture(scope="module")
def engine(postgres):
    """A database of its own, for here all signing keys are replaced."""
    with an_engine_of("identity", postgres) as engine:
        yield engine


@pytest.fixture(scope="module")
def parts():
    return assemble({"KIRANA_KEY_PASSPHRASE": "a passphrase for the tests", "KIRANA_JWT_ALGORITHM": "ES256"})


@pytest.fixture
def house(scope, parts):
    return House(Doors(Service, transactions=scope, parts=parts))


@pytest.mark.parametrize("method", KEEPING, ids=lambda method: method.name)
def test_a_change_that_is_sent_twice_has_one_effect_and_one_answer(house, engine, method):
    request, operation = house.wish(method), {"operation_id": f"me/{new_id()}", "fingerprint": "f"}
    before = everything_in(engine)

    first = house.doors.call(method, request, **operation)
    after = everything_in(engine)
    second = house.doors.call(method, request, **operation)

    assert after.keys() == before.keys()
    assert len(after["operations"]) == len(before["operations"]) + 1
    assert not first.replayed
    assert "exc_type" not in first.said
    assert second == (first.said, True)
    assert everything_in(engine) == after


@pytest.mark.parametrize("method", KEEPING, ids=lambda method: method.name)
def test_another_wish_under_the_same_operation_id_is_refused(house, engine, method):
    operation_id = f"me/{new_id()}"
    house.doors.call(method, house.wish(method), operation_id=operation_id, fingerprint="f")
    request, before = house.wish(method), everything_in(engine)

    other = house.doors.call(method, request, operation_id=operation_id, fingerprint="g")

    assert other.said["exc_args"][0] == KeyReused.code
    assert everything_in(engine) == before


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("method", [identity.REGISTER_USER, identity.CHANGE_PASSWORD], ids=lambda method: method.name)
def test_a_run_that_is_overtaken_by_another_of_its_operation_gives_the_answer_of_that_one(
    house, engine, parts, method, moment
):
    request, operation = house.wish(method), {"operation_id": f"me/{new_id()}", "fingerprint": "f"}
    runs = []
    slow = Overtaken(engine, moment, lambda: runs.append(house.doors.call(method, request, **operation)))

    overtaken = Doors(Service, transactions=slow, parts=parts).call(method, request, **operation)

    (first,) = runs
    assert "exc_type" not in first.said
    assert overtaken == (first.said, True)


def test_whose_change_of_password_was_overtaken_by_itself_has_not_guessed(house, engine, parts):
    user = house.doors.told(identity.REGISTER_USER, house.register_user())
    request = identity.ChangePassword(
        user_id=user.id, session_id="", current_password=PASSWORD, password=OTHER, password2=OTHER
    )
    operation = {"operation_id": f"me/{new_id()}", "fingerprint": "f"}
    slow = Overtaken(engine, MOMENTS[0], lambda: house.doors.call(identity.CHANGE_PASSWORD, request, **operation))

    Doors(Service, transactions=slow, parts=parts).call(identity.CHANGE_PASSWORD, request, **operation)

    assert tries_counted(engine, user, since=now()) == 0


def test_another_password_than_the_present_one_is_refused_and_counted_all_the_same(house, engine):
    user = house.doors.told(identity.REGISTER_USER, house.register_user())
    request = identity.ChangePassword(
        user_id=user.id, session_id="", current_password=OTHER, password=OTHER, password2=OTHER
    )

    before = now()
    refused = house.doors.call(identity.CHANGE_PASSWORD, request, operation_id=f"me/{new_id()}", fingerprint="f")

    assert refused.said["exc_args"][0] == InvalidRequest.code
    assert tries_counted(engine, user, since=before) == 2, "those of the visitor and of the account"


def test_a_change_that_nothing_overtakes_is_looked_up_once(house, engine, parts):
    slow = Overtaken(engine, None, None)

    Doors(Service, transactions=slow, parts=parts).call(
        identity.CHANGE_PASSWORD, house.change_password(), operation_id=f"me/{new_id()}", fingerprint="f"
    )

    assert slow.looked == 1


def test_a_late_repetition_does_not_bring_back_a_password_that_was_changed_since(house):
    name, operation_id = a_name(), f"operator/{new_id()}"
    first = house.doors.call(identity.ENSURE_STAFF, staff(name, PASSWORD), operation_id=operation_id)
    house.doors.told(identity.ENSURE_STAFF, staff(name, OTHER))

    again = house.doors.call(identity.ENSURE_STAFF, staff(name, PASSWORD), operation_id=operation_id)

    assert again == (first.said, True)
    assert house.lets_in(name, OTHER)
    assert not house.lets_in(name, PASSWORD)
