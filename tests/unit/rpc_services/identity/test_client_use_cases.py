from datetime import timedelta

import pytest

from rpc_services.identity.client_use_cases import Granting, add_client, list_clients, remove_client
from rpc_services.identity.domain import REVOCATION_MEMORY
from rpc_services.identity.session_use_cases import SessionEnds, list_revoked_sessions, revoke_session
from rpc_services.identity.tokens import Mint
from shared.contracts.identity import RevokeSession
from shared.contracts.identity_grants import GrantClientToken, InvalidClient, InvalidScope
from shared.contracts.identity_operators import AddClient, ClientNameTaken, ClientNotFound, RemoveClient
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import FakeAnnounce, FakeClients, FakeCutoffs, FakeEndedGrants, FakeSessions

SECRET = "kcs_secret"


class Desk:
    def __init__(self):
        self.clock, self.clients, self.claims = FakeClock(), FakeClients(), []
        self.cutoffs, self.announce = FakeCutoffs(), FakeAnnounce()
        self.sessions = FakeSessions()
        self.grants = FakeEndedGrants(self.clients, self.sessions)
        self.ends = SessionEnds(self.sessions, self.grants, self.cutoffs, self.announce, self.clock)
        self.mint = Mint(signer=self, issuer="kirana", audience="kirana-api")

    def sign(self, claims):
        self.claims.append(claims)
        return repr(claims)

    def add(self, name="partner", scopes=("catalog:write", "orders:manage")):
        request = AddClient(name=name, scopes=list(scopes))
        return add_client(request, clients=self.clients, new_id=new_id, new_secret=lambda: SECRET, clock=self.clock)

    def grant(self, client_id, secret=SECRET, scope=None):
        request = GrantClientToken(client_id=client_id, client_secret=secret, scope=scope)
        return Granting(self.clients, self.mint, self.clock, new_id).grant(request)

    def log_out(self, claims, user_id=None):
        revoke_session(RevokeSession(session_id=claims["sid"], user_id=user_id or claims["sub"]), ends=self.ends)

    def listed(self):
        return list_revoked_sessions(
            sessions=self.sessions, grants=self.grants, cutoffs=self.cutoffs, clock=self.clock
        ).sessions


@pytest.fixture
def desk():
    return Desk()


def test_a_client_gets_a_token_in_its_own_name_with_all_its_scopes(desk):
    client = desk.add()

    token = desk.grant(client.client_id)

    (claims,) = desk.claims
    assert claims["sub"] == claims["client_id"] == client.client_id
    assert claims["scope"] == token.scope == "catalog:write orders:manage"
    assert claims["exp"] - claims["iat"] == token.expires_in == 900
    assert claims.keys() >= {"iss", "aud", "jti", "sid", "nbf"}


def test_each_grant_is_a_session_of_its_own(desk):
    client = desk.add()

    for _ in range(2):
        desk.grant(client.client_id)

    assert len({claims["sid"] for claims in desk.claims}) == 2


def test_a_client_may_ask_for_less_and_not_for_more(desk):
    client = desk.add()

    assert desk.grant(client.client_id, scope="orders:manage").scope == "orders:manage"
    for scope in ("edge:admin", "orders:manage edge:admin", "nonsense"):
        with pytest.raises(InvalidScope):
            desk.grant(client.client_id, scope=scope)


def test_a_wrong_secret_an_unknown_client_and_no_id_at_all_get_the_same_answer(desk):
    client = desk.add()

    answers = []
    for client_id, secret in [(client.client_id, "wrong"), (new_id(), SECRET), ("no id", SECRET), ("", "")]:
        with pytest.raises(InvalidClient) as refused:
            desk.grant(client_id, secret)
        answers.append(refused.value.to_wire())

    assert all(answer == answers[0] for answer in answers)


def test_the_secret_is_not_kept_in_clear(desk):
    client = desk.add()

    kept = desk.clients.find(client.client_id)

    assert SECRET.encode() not in kept.secret_digest
    assert SECRET not in repr(kept)


def test_scopes_that_nobody_can_have_are_all_named_and_nothing_is_made(desk):
    with pytest.raises(InvalidRequest) as refused:
        desk.add(scopes=["one", "edge:admin", "two"])

    assert [each["pointer"] for each in refused.value.details["errors"]] == ["/scopes/0", "/scopes/2"]
    assert not desk.clients.all()


def test_two_clients_do_not_share_a_name(desk):
    desk.add()

    with pytest.raises(ClientNameTaken):
        desk.add()


def test_the_list_tells_everything_but_the_secret(desk):
    client = desk.add()

    (listed,) = list_clients(clients=desk.clients)

    assert (listed.client_id, listed.name) == (client.client_id, "partner")
    assert SECRET not in repr(listed)


def test_the_tokens_of_a_removed_client_count_no_more_and_it_gets_no_others(desk):
    client = desk.add()
    desk.grant(client.client_id)

    remove_client(RemoveClient(client_id=client.client_id), clients=desk.clients, ends=desk.ends)

    (told,) = desk.announce.told
    assert told.user_id == client.client_id
    assert desk.claims[0]["iat"] < told.issued_before
    with pytest.raises(InvalidClient):
        desk.grant(client.client_id)
    for client_id in (client.client_id, "no id"):
        with pytest.raises(ClientNotFound):
            remove_client(RemoveClient(client_id=client_id), clients=desk.clients, ends=desk.ends)


def test_a_grant_is_ended_once_as_a_session_is_and_the_others_of_its_client_go_on(desk):
    client = desk.add()
    for _ in range(2):
        desk.grant(client.client_id)
    ended, other = desk.claims

    for _ in range(2):
        desk.log_out(ended)

    (told,) = desk.announce.told
    assert (told.session_id, told.user_id) == (ended["sid"], client.client_id)
    assert told.forget_at > ended["exp"]
    assert desk.listed() == {ended["sid"]: told.forget_at}
    assert other["sid"] not in desk.listed()


def test_an_ended_grant_is_listed_while_its_token_could_be_alive(desk):
    desk.grant(desk.add().client_id)
    desk.log_out(desk.claims[0])

    desk.clock.advance(REVOCATION_MEMORY - timedelta(seconds=1))
    assert desk.listed()
    desk.clock.advance(timedelta(seconds=1))

    assert not desk.listed()


def test_nobody_but_a_client_has_a_grant_to_end(desk):
    client = desk.add()
    desk.grant(client.client_id)
    remove_client(RemoveClient(client_id=client.client_id), clients=desk.clients, ends=desk.ends)
    desk.announce.told.clear()

    for user_id in (client.client_id, new_id(), "no id"):
        desk.log_out(desk.claims[0], user_id)

    assert not desk.announce.told
    assert not desk.listed()
