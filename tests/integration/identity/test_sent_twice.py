"""Every change whose answer is kept, through identity's own doors: sent twice, it has one effect and one answer."""

import pytest

from rpc_services.identity.assembly import assemble
from rpc_services.identity.service import Service
from shared.contracts import identity
from shared.contracts import identity_operators as operators
from shared.contracts.refusals import KeyReused
from shared.values.identifiers import new_id
from tests.builders.postgres import an_engine_of
from tests.builders.sent_twice import Doors, everything_in

PASSWORD, OTHER = "a good long password", "another good long one"
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


def test_a_late_repetition_does_not_bring_back_a_password_that_was_changed_since(house):
    name, operation_id = a_name(), f"operator/{new_id()}"
    first = house.doors.call(identity.ENSURE_STAFF, staff(name, PASSWORD), operation_id=operation_id)
    house.doors.told(identity.ENSURE_STAFF, staff(name, OTHER))

    again = house.doors.call(identity.ENSURE_STAFF, staff(name, PASSWORD), operation_id=operation_id)

    assert again == (first.said, True)
    assert house.lets_in(name, OTHER)
    assert not house.lets_in(name, PASSWORD)
