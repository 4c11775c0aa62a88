import pytest

from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import (
    AccountsBehaviour,
    AttemptsBehaviour,
    ClientsBehaviour,
    CutoffsBehaviour,
    FakeAccounts,
    FakeAttempts,
    FakeClients,
    FakeCutoffs,
    FakeSessions,
    SessionsBehaviour,
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


class TestFakeCutoffs(CutoffsBehaviour):
    @pytest.fixture
    def cutoffs(self):
        return FakeCutoffs()
