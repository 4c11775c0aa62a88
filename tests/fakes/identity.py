"""Identity's ports in memory, and the behaviour that they and the SQL adapters share."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from rpc_services.identity.domain import (
    ENDED_AT_ONCE,
    Account,
    Client,
    Cutoff,
    SpentToken,
    new_session,
    sameness,
    sameness_of_address,
)
from rpc_services.identity.throttle import Allowance, Count
from shared.contracts.identity import EmailTaken, OpenSession, UsernameTaken
from shared.contracts.identity_operators import ClientNameTaken
from shared.contracts.refusals import Unavailable
from shared.values.identifiers import new_id

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def an_account(**fields):
    name = fields.pop("username", f"user-{new_id()[-8:]}")
    fields.setdefault("email", f"{name}@example.com")
    return Account(**{"id": new_id(), "username": name, "password_hash": "hash of secret", **fields})


class FakeAccounts:
    def __init__(self):
        self.by_id = {}

    def add(self, account):
        if self.named(account.username):
            raise UsernameTaken
        if any(sameness_of_address(each.email) == sameness_of_address(account.email) for each in self.by_id.values()):
            raise EmailTaken
        self.by_id[account.id] = account

    def find(self, ids):
        return [self.by_id[each] for each in ids if each in self.by_id]

    def named(self, username):
        return next((each for each in self.by_id.values() if sameness(each.username) == sameness(username)), None)

    def locked(self, account_id):
        return self.by_id.get(account_id)

    def save(self, account):
        others = (each for each in self.by_id.values() if each.id != account.id)
        if any(sameness_of_address(each.email) == sameness_of_address(account.email) for each in others):
            raise EmailTaken
        self.by_id[account.id] = account


class FakePasswords:
    """Remembers what it was asked, since the work done for nobody is the promise."""

    def __init__(self):
        self.checked = []
        self.is_full = False

    def hashed(self, password):
        return f"hash of {password}"

    def is_right(self, password, kept_hash):
        if self.is_full:
            raise Unavailable(retry_after=1)
        self.checked.append(kept_hash)
        return kept_hash == f"hash of {password}"


class FakeAttempts:
    def __init__(self, clock):
        self.clock = clock
        self.paid_until = {}
        self.known = set()
        self._lock = threading.Lock()

    def take(self, counts):
        with self._lock:
            return next((wait for count in counts if (wait := self._take(count))), 0.0)

    def give_back(self, counts):
        for count in counts:
            if count.key in self.paid_until and count.waived_for not in self.known:
                self.paid_until[count.key] -= count.allowance.every

    def succeeded(self, counts):
        for count in counts:
            if count.is_forgotten_on_success:
                self.paid_until.pop(count.key, None)
            else:
                self.give_back([count])
            if count.waived_for is not None:
                self.known.add(count.waived_for)

    def _take(self, count):
        if count.waived_for in self.known:
            return 0.0
        now = self.clock()
        paid = max(self.paid_until.get(count.key, now), now) + count.allowance.every
        if paid <= now + count.allowance.depth:
            self.paid_until[count.key] = paid
            return 0.0
        return (paid - now - count.allowance.depth).total_seconds()


class FakeSessions:
    def __init__(self):
        self.sessions = {}
        self.tokens = {}
        self.spending = {}

    def open(self, session, at):
        del at
        self.sessions[session.id] = session

    def keep_token(self, token, session_id, at):
        del at
        self.tokens.setdefault(token, session_id)

    def spend(self, token, *, salt, at):
        if token in self.tokens:
            self.spending.setdefault(token, (at, salt))

    def spent(self, token):
        if token not in self.spending:
            return None
        at, salt = self.spending[token]
        return SpentToken(self.sessions[self.tokens[token]], at, salt)

    def revoke(self, session_id, user_id, *, at, reason):
        assert reason
        session = self.sessions.get(session_id)
        if session is None or session.user_id != user_id or session.revoked_at:
            return False
        self.sessions[session_id] = type(session)(session.id, session.user_id, session.expires_at, at)
        return True

    def revoke_oldest_of(self, user_id, *, kept, at, reason):
        held = [each.id for each in self.sessions.values() if each.user_id == user_id and not each.revoked_at]
        oldest = held[: max(0, len(held) - kept)][:ENDED_AT_ONCE]
        return [each for each in oldest if self.revoke(each, user_id, at=at, reason=reason)]

    def revoke_all_of(self, user_id, *, but, at, reason):
        for each in list(self.sessions.values()):
            if each.id != but:
                self.revoke(each.id, user_id, at=at, reason=reason)

    def live_of(self, user_id, at):
        live = [each for each in self.sessions.values() if each.user_id == user_id and not each.has_ended(at)]
        return [OpenSession(id=each.id, opened_at="", expires_at="", is_current=False) for each in live]

    def revoked_since(self, moment):
        ended = [each for each in self.sessions.values() if each.revoked_at]
        return {each.id: each.revoked_at for each in ended if each.revoked_at > moment}


class FakeEndedGrants:
    def __init__(self, clients, sessions):
        self.clients, self.sessions = clients, sessions
        self.ended = {}

    def end(self, grant_id, client_id, *, at):
        if grant_id in self.ended or grant_id in self.sessions.sessions or client_id not in self.clients.by_id:
            return False
        self.ended[grant_id] = at
        return True

    def since(self, moment):
        return {grant_id: at for grant_id, at in self.ended.items() if at > moment}


class FakeCutoffs:
    def __init__(self):
        self.by_subject = {}

    def of(self, subject):
        return self.by_subject.get(subject)

    def put(self, cutoff):
        self.by_subject[cutoff.subject] = cutoff

    def since(self, moment):
        return [each for each in self.by_subject.values() if each.ended_at > moment]


class FakeAnnounce:
    """Remembers what was told, sessions and whole users in one list."""

    def __init__(self):
        self.told = []
        self.session = self.user = self.told.append


class FakeClients:
    def __init__(self):
        self.by_id = {}

    def add(self, client):
        if any(each.name == client.name for each in self.by_id.values()):
            raise ClientNameTaken
        self.by_id[client.id] = client

    def find(self, client_id):
        return self.by_id.get(client_id)

    def all(self):
        return sorted(self.by_id.values(), key=lambda each: each.name)

    def remove(self, client_id):
        return self.by_id.pop(client_id, None) is not None


def a_client(name="partner", **fields):
    made = {"id": new_id(), "name": name, "scopes": ("catalog:write",), "secret_digest": b"d", "created_at": NOON}
    return Client(**made | fields)


class ClientsBehaviour:
    """What every keeper of clients does; subclasses give ``clients``."""

    def test_a_client_is_found_until_it_is_removed(self, clients):
        client = a_client()
        clients.add(client)

        assert clients.find(client.id) == client
        assert clients.remove(client.id)
        assert clients.find(client.id) is None
        assert not clients.remove(client.id)

    def test_a_name_belongs_to_one_client(self, clients):
        clients.add(a_client())

        with pytest.raises(ClientNameTaken):
            clients.add(a_client())

    def test_all_are_listed_by_name(self, clients):
        for name in ("zeta", "alpha"):
            clients.add(a_client(name))

        assert [each.name for each in clients.all()] == ["alpha", "zeta"]


class EndedGrantsBehaviour:
    """What every keeper of ended grants does; subclasses give ``grants``, a kept ``client_id`` and ``session_id``."""

    def test_a_grant_is_ended_once_and_known_from_then_on(self, grants, client_id):
        grant_id = new_id()

        assert grants.end(grant_id, client_id, at=NOON)
        assert not grants.end(grant_id, client_id, at=NOON + timedelta(seconds=1))
        assert grants.since(NOON - timedelta(seconds=1)) == {grant_id: NOON}
        assert grants.since(NOON) == {}

    def test_who_is_no_client_has_no_grant_to_end(self, grants):
        assert not grants.end(new_id(), new_id(), at=NOON)
        assert grants.since(NOON - timedelta(seconds=1)) == {}

    def test_a_client_does_not_end_the_session_of_a_user(self, grants, client_id, session_id):
        assert not grants.end(session_id, client_id, at=NOON)
        assert grants.since(NOON - timedelta(seconds=1)) == {}


class CutoffsBehaviour:
    """What every keeper of cut-offs does; subclasses give ``cutoffs``."""

    def test_the_latest_cut_off_of_a_subject_replaces_the_one_before(self, cutoffs):
        subject, kept = new_id(), new_id()
        first = Cutoff.after(None, subject, at=NOON, kept_session_id=kept)
        second = Cutoff.after(first, subject, at=NOON, kept_session_id="")

        cutoffs.put(first)
        assert cutoffs.of(subject) == first
        cutoffs.put(second)

        assert cutoffs.of(subject) == second
        assert second.issued_before > first.issued_before
        assert [each for each in cutoffs.since(NOON - timedelta(seconds=1)) if each.subject == subject] == [second]
        assert subject not in {each.subject for each in cutoffs.since(NOON)}

    def test_who_was_never_cut_off_has_none(self, cutoffs):
        assert cutoffs.of(new_id()) is None


class AccountsBehaviour:
    """What every keeper of accounts does; subclasses give ``accounts``."""

    def test_an_account_is_found_by_id_and_by_name_in_any_case(self, accounts):
        account = an_account(username="Anna.B", scopes=("catalog:write",), first_name="Anna")
        accounts.add(account)

        assert accounts.find([account.id]) == [account]
        assert accounts.named("aNNA.b") == account
        assert accounts.locked(account.id) == account

    def test_an_account_that_is_not_there_is_not_found(self, accounts):
        assert list(accounts.find([new_id()])) == []
        assert list(accounts.find([])) == []
        assert accounts.named("nobody\0") is None
        assert accounts.locked(new_id()) is None

    def test_a_name_is_taken_whatever_its_case(self, accounts):
        accounts.add(an_account(username="anna"))

        with pytest.raises(UsernameTaken):
            accounts.add(an_account(username="ANNA", email="other@example.com"))

    def test_an_address_is_taken_whatever_its_case(self, accounts):
        accounts.add(an_account(username="anna", email="Ännä@example.com"))

        with pytest.raises(EmailTaken):
            accounts.add(an_account(username="berta", email="äNNÄ@EXAMPLE.com"))

    def test_a_mailbox_has_one_account_however_its_host_is_spelt(self, accounts):
        accounts.add(an_account(username="anna", email="x@bücher.de"))
        accounts.add(an_account(username="carla", email="x@strasse.de"))
        accounts.add(berta := an_account(username="berta", email="x@straße.de"))

        with pytest.raises(EmailTaken):
            accounts.add(an_account(username="dora", email="x@XN--bcher-KVA.de"))
        with pytest.raises(EmailTaken):
            accounts.save(Account(**{**berta.__dict__, "email": "x@bücher\u3002de"}))

    def test_a_new_password_and_new_scopes_are_kept(self, accounts):
        account = an_account()
        accounts.add(account)
        changed = Account(**{**account.__dict__, "password_hash": "another", "scopes": ("edge:admin",)})

        accounts.save(changed)

        assert accounts.find([account.id]) == [changed]

    def test_a_profile_and_whether_the_account_is_closed_are_kept(self, accounts):
        account = an_account()
        accounts.add(account)
        fields = {"email": f"{account.id}@example.com", "first_name": "A", "last_name": "B", "phone_number": "1"}
        changed = Account(**{**account.__dict__, **fields, "is_disabled": True})

        accounts.save(changed)
        assert accounts.find([account.id]) == [changed]
        accounts.save(account)

        assert accounts.find([account.id]) == [account]

    def test_the_address_of_another_account_cannot_be_taken_over(self, accounts):
        anna, berta = an_account(), an_account()
        accounts.add(anna)
        accounts.add(berta)

        with pytest.raises(EmailTaken):
            accounts.save(Account(**{**berta.__dict__, "email": anna.email.upper()}))


class AttemptsBehaviour:
    """What every counter of tries does; subclasses give ``attempts`` and ``clock``."""

    @staticmethod
    def three_a_minute(key=b"anna", **how):
        return Count(key, Allowance(burst=3, every=timedelta(seconds=20)), **how)

    def test_after_the_burst_the_wait_until_the_next_try_is_told(self, attempts):
        counts = [self.three_a_minute()]

        waits = [attempts.take(counts) for _ in range(5)]

        assert waits == [0, 0, 0, 20, 20]

    def test_time_gives_tries_back_one_by_one_and_a_refused_try_costs_nothing(self, attempts, clock):
        counts = [self.three_a_minute()]
        for _ in range(9):
            attempts.take(counts)

        clock.advance(timedelta(seconds=21))

        assert attempts.take(counts) == 0
        assert attempts.take(counts) == 19

    def test_one_counter_that_is_used_up_is_enough_to_wait(self, attempts):
        for _ in range(3):
            attempts.take([self.three_a_minute()])

        assert attempts.take([self.three_a_minute(b"address"), self.three_a_minute()]) == 20

    def test_a_counter_behind_one_that_is_used_up_is_left_alone(self, attempts):
        counts = [self.three_a_minute(b"visitor"), self.three_a_minute(b"account")]

        waits = [attempts.take(counts) for _ in range(9)]

        assert waits[3:] == [20] * 6
        attempts.give_back(counts[1:])
        assert [attempts.take(counts[1:]) for _ in range(2)] == [0, 20]

    def test_a_try_that_was_none_is_given_back(self, attempts):
        counts = [self.three_a_minute()]
        for _ in range(3):
            attempts.take(counts)

        attempts.give_back(counts)

        assert attempts.take(counts) == 0
        assert attempts.take(counts) > 0

    def test_a_visitor_whose_try_was_right_is_waived_from_then_on_and_nobody_else(self, attempts):
        known = self.three_a_minute(b"account", waived_for=b"owner")
        stranger = self.three_a_minute(b"account", waived_for=b"stranger")
        attempts.take([known])
        attempts.succeeded([known])

        waits = [attempts.take([stranger]) for _ in range(4)]

        assert waits == [0, 0, 0, 20]
        assert [attempts.take([known]) for _ in range(9)] == [0] * 9
        attempts.give_back([known])
        assert attempts.take([stranger]) == 20

    def test_success_empties_the_visitors_counter_and_gives_the_address_its_try_back(self, attempts):
        counts = [self.three_a_minute(b"address"), self.three_a_minute(is_forgotten_on_success=True)]
        for _ in range(3):
            attempts.take(counts)

        attempts.succeeded(counts)

        assert [attempts.take(counts[1:]) for _ in range(4)] == [0, 0, 0, 20]
        assert [attempts.take(counts[:1]) for _ in range(2)] == [0, 20]


class SessionsBehaviour:
    """What every keeper of sessions does; subclasses give ``sessions`` and the id of a kept ``user_id``."""

    @staticmethod
    def opened(sessions, user_id, *, at=NOON):
        session = new_session(new_id(), user_id, at)
        sessions.open(session, at)
        return session

    def opened_one_by_one(self, sessions, user_id, *, number):
        return [self.opened(sessions, user_id, at=NOON + timedelta(seconds=each)).id for each in range(number)]

    def test_a_token_is_spent_once_and_the_first_salt_stays(self, sessions, user_id):
        session = self.opened(sessions, user_id)
        sessions.keep_token(b"token", session.id, NOON)

        sessions.spend(b"token", salt=b"first", at=NOON)
        sessions.spend(b"token", salt=b"second", at=NOON + timedelta(seconds=1))

        assert sessions.spent(b"token") == SpentToken(session, NOON, b"first")

    def test_a_token_that_was_not_spent_or_is_not_known_is_not_spent(self, sessions, user_id):
        sessions.keep_token(b"kept", self.opened(sessions, user_id).id, NOON)
        sessions.spend(b"unknown", salt=b"salt", at=NOON)

        assert sessions.spent(b"kept") is None
        assert sessions.spent(b"unknown") is None

    def test_a_session_is_ended_once_and_only_by_its_owner(self, sessions, user_id):
        session = self.opened(sessions, user_id)

        assert not sessions.revoke(session.id, new_id(), at=NOON, reason="test")
        assert sessions.revoke(session.id, user_id, at=NOON, reason="test")
        assert not sessions.revoke(session.id, user_id, at=NOON, reason="test")
        assert sessions.revoked_since(NOON - timedelta(seconds=1)) == {session.id: NOON}
        assert sessions.revoked_since(NOON) == {}

    def test_sessions_that_live_are_told_from_those_that_ended(self, sessions, user_id):
        ended, alive = self.opened(sessions, user_id), self.opened(sessions, user_id)
        sessions.revoke(ended.id, user_id, at=NOON, reason="test")

        assert [each.id for each in sessions.live_of(user_id, NOON)] == [alive.id]

    def test_all_sessions_but_one_are_ended_together(self, sessions, user_id):
        one, kept, other = (self.opened(sessions, user_id) for _ in range(3))

        sessions.revoke_all_of(user_id, but=kept.id, at=NOON, reason="test")

        assert [each.id for each in sessions.live_of(user_id, NOON)] == [kept.id]
        assert sessions.revoked_since(NOON - timedelta(seconds=1)).keys() == {one.id, other.id}

    def test_the_oldest_end_and_so_many_of_the_newest_stay(self, sessions, user_id):
        ids = self.opened_one_by_one(sessions, user_id, number=7)
        sessions.revoke(ids[6], user_id, at=NOON, reason="test")

        ended = sessions.revoke_oldest_of(user_id, kept=4, at=NOON, reason="test")

        assert set(ended) == set(ids[:2])
        assert [each.id for each in sessions.live_of(user_id, NOON)] == ids[2:6]
        assert sessions.revoke_oldest_of(user_id, kept=4, at=NOON, reason="test") == []
        assert sessions.revoked_since(NOON - timedelta(seconds=1)).keys() == {*ids[:2], ids[6]}

    def test_of_many_too_many_a_few_end_at_a_time(self, sessions, user_id):
        ids = self.opened_one_by_one(sessions, user_id, number=ENDED_AT_ONCE + 5)

        first = sessions.revoke_oldest_of(user_id, kept=2, at=NOON, reason="test")
        second = sessions.revoke_oldest_of(user_id, kept=2, at=NOON, reason="test")

        assert set(first) == set(ids[:ENDED_AT_ONCE])
        assert set(second) == set(ids[ENDED_AT_ONCE:-2])

    def test_the_sessions_of_others_do_not_count(self, sessions, user_id):
        session = self.opened(sessions, user_id)

        assert sessions.revoke_oldest_of(new_id(), kept=0, at=NOON, reason="test") == []
        assert [each.id for each in sessions.live_of(user_id, NOON)] == [session.id]

    def test_a_session_that_expired_is_open_no_more(self, sessions, user_id):
        session = self.opened(sessions, user_id)

        assert sessions.live_of(user_id, session.expires_at) == []
