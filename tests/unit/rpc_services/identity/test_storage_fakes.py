import pytest

from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import (
    AccountsBehaviour,
    AttemptsBehaviour,
    ClientsBehaviour,
    CutoffsBehaviour,
    EndedGrantsBehaviour,
    FakeAccounts,
    FakeAttempts,
    FakeClients,
    FakeCutoffs,
    FakeEndedGrants,
    FakeSessions,
    SessionsBehaviour,
    a_client,
)


class TestFakeAccounts(AccountsBehaviour):
    @pytest.fixture
    def accounts(self):
        return FakeAccounts()


class TestFakeAttempts(AttemptsBehaviour):
    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def attempts(self, clock):
        return FakeAttempts(clock)


class TestFakeSessions(SessionsBehaviour):
    @pytest.fixture
    def user_id(self):
        return new_id()

    @pytest.fixture
    def sessions(self):
        return FakeSessions()


class TestFakeClients(ClientsBehaviour):
    @pytest.fixture
    def clients(self):
        return FakeClients()


class TestFakeEndedGrants(EndedGrantsBehaviour):
    @pytest.fixture
    def sessions(self):
        return FakeSessions()

    @pytest.fixture
    def clients(self):
        return FakeClients()

    @pytest.fixture
    def grants(self, clients, sessions):
        return FakeEndedGrants(clients, sessions)

    @pytest.fixture
    def client_id(self, clients):
        client = a_client()
        clients.add(client)
        return client.id

    @pytest.fixture
    def session_id(self, sessions):
        return SessionsBehaviour.opened(sessions, new_id()).id


class TestFakeCutoffs(CutoffsBehaviour):
    @pytest.fixture
    def cutoffs(self):
        return FakeCutoffs()
