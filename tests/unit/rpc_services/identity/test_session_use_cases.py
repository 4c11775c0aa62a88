import itertools
from datetime import timedelta

import pytest

from rpc_services.identity.domain import (
    ACCESS_LIFE,
    ENDED_AT_ONCE,
    MOST_SESSIONS,
    REFRESH_GRACE,
    SESSION_LIFE,
    new_session,
)
from rpc_services.identity.password_use_cases import switch_user
from rpc_services.identity.session_use_cases import (
    Login,
    Refreshing,
    SessionEnds,
    list_revoked_sessions,
    list_sessions,
    revoke_session,
)
from rpc_services.identity.tokens import Mint, Seed
from shared.contracts.identity import (
    InvalidCredentials,
    InvalidRefreshToken,
    ListSessions,
    MintAccessToken,
    RefreshTokens,
    RevokedUser,
    RevokeSession,
    UserNotFound,
)
from shared.contracts.identity_grants import InvalidScope
from shared.contracts.identity_operators import SwitchUser
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.identity import (
    FakeAccounts,
    FakeAnnounce,
    FakeClients,
    FakeCutoffs,
    FakeEndedGrants,
    FakeSessions,
    a_client,
    an_account,
)


class OpenSigner:
    """Signs nothing: the claims stay to be read."""

    def __init__(self):
        self.claims = []

    def sign(self, claims):
        self.claims.append(claims)
        return repr(claims)


class Shop:
    def __init__(self):
        self.clock = FakeClock()
        self.accounts = FakeAccounts()
        self.sessions = FakeSessions()
        self.signer = OpenSigner()
        self.cutoffs = FakeCutoffs()
        self.announce = FakeAnnounce()
        self.numbers = itertools.count(1)
        self.anna = an_account(username="anna", scopes=("catalog:write", "edge:admin"))
        self.accounts.add(self.anna)
        mint = Mint(signer=self.signer, issuer="kirana", audience="kirana-api", dated_from=self.dated_from)
        self.clients = FakeClients()
        self.grants = FakeEndedGrants(self.clients, self.sessions)
        self.ends = SessionEnds(self.sessions, self.grants, self.cutoffs, self.announce, self.clock)
        self.login = Login(self.accounts, self.sessions, mint, self.ends, new_id)
        self.refreshing = Refreshing(self.accounts, self.sessions, mint, self.ends, b"secret", self.new_salt)

    @property
    def announced(self):
        return self.announce.told

    def dated_from(self, subject):
        cutoff = self.cutoffs.of(subject)
        return cutoff.issued_before if cutoff else 0

    def new_salt(self):
        return f"salt {next(self.numbers)}".encode()

    def logged_in(self):
        return self.login.open(self.anna, Seed(next(self.numbers).to_bytes(2) * 24))

    def refreshed(self, pair):
        return self.refreshing.exchange(RefreshTokens(refresh=pair.refresh))

    @property
    def session_id(self):
        return self.signer.claims[0]["sid"]


@pytest.fixture
def shop():
    return Shop()


def listed(shop):
    return list_revoked_sessions(sessions=shop.sessions, grants=shop.grants, cutoffs=shop.cutoffs, clock=shop.clock)


def is_refused(outcome):
    return isinstance(outcome, InvalidRefreshToken)


class TestLoggingIn:
    def test_the_claims_say_who_in_which_session_for_how_long_with_which_scopes(self, shop):
        pair = shop.logged_in()

        (claims,) = shop.signer.claims
        begin = int(shop.clock().timestamp())
        assert claims.keys() == {"iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp", "scope"}
        assert (claims["iss"], claims["aud"], claims["sub"]) == ("kirana", "kirana-api", shop.anna.id)
        assert (claims["iat"], claims["nbf"], claims["exp"]) == (begin, begin, begin + 900)
        assert claims["scope"] == pair.scope == "catalog:write edge:admin"
        assert (pair.token_type, pair.expires_in, pair.user_id) == ("Bearer", 900, shop.anna.id)

    def test_no_refresh_token_is_kept_in_clear(self, shop):
        pair = shop.logged_in()

        assert pair.refresh.encode() not in shop.sessions.tokens

    def test_two_logins_are_two_sessions(self, shop):
        one, other = shop.logged_in(), shop.logged_in()

        assert one.refresh != other.refresh
        assert (
            len({claims["sid"] for claims in shop.signer.claims})
            == len({claims["jti"] for claims in shop.signer.claims})
            == 2
        )

    def test_a_password_that_changed_after_it_was_checked_opens_nothing(self, shop):
        checked = shop.anna
        shop.accounts.save(an_account(id=checked.id, username="anna", password_hash="another"))

        with pytest.raises(InvalidCredentials):
            shop.login.open(checked, Seed(bytes(48)))

    def test_an_operator_gets_a_token_in_a_session_that_can_be_ended(self, shop):
        shop.login.mint_access_token(MintAccessToken(username="anna"), Seed(bytes(48)))

        assert [each.id for each in shop.sessions.live_of(shop.anna.id, shop.clock())] == [shop.session_id]
        with pytest.raises(UserNotFound):
            shop.login.mint_access_token(MintAccessToken(username="nobody"), Seed(bytes(48)))


class TestTheMostSessions:
    def test_whoever_opens_one_too_many_ends_the_oldest_and_the_shop_is_told(self, shop):
        first, second, *_ = [shop.logged_in() for _ in range(MOST_SESSIONS)]
        assert not shop.announced

        newest = shop.logged_in()

        (told,) = shop.announced
        assert (told.session_id, told.user_id) == (shop.session_id, shop.anna.id)
        assert told.forget_at > (shop.clock() + ACCESS_LIFE).timestamp()
        assert is_refused(shop.refreshed(first))
        assert not is_refused(shop.refreshed(second))
        assert not is_refused(shop.refreshed(newest))

    def test_an_account_that_holds_far_more_shrinks_by_a_few_with_each_login(self, shop):
        for _ in range(MOST_SESSIONS + 3 * ENDED_AT_ONCE):
            shop.sessions.open(new_session(new_id(), shop.anna.id, shop.clock()), shop.clock())

        held = [len(shop.sessions.live_of(shop.anna.id, shop.clock())) for _ in range(5) if shop.logged_in()]

        assert held == [MOST_SESSIONS + each for each in (21, 12, 3, 0, 0)]

    def test_the_tokens_of_operators_are_no_exception(self, shop):
        for _ in range(MOST_SESSIONS + 1):
            shop.login.mint_access_token(MintAccessToken(username="anna"), Seed(bytes(48)))

        assert [told.session_id for told in shop.announced] == [shop.session_id]

    def test_a_login_that_is_refused_ends_nothing(self, shop):
        for _ in range(MOST_SESSIONS):
            shop.logged_in()
        admitted = shop.anna
        shop.accounts.save(an_account(id=admitted.id, username="anna", password_hash="another"))

        with pytest.raises(InvalidCredentials):
            shop.login.open(admitted, Seed(bytes(48)))

        assert not shop.announced


class TestRefreshing:
    def test_the_successor_is_new_and_of_the_same_session(self, shop):
        first = shop.logged_in()

        second = shop.refreshed(first)

        assert second.refresh != first.refresh
        assert {claims["sid"] for claims in shop.signer.claims} == {shop.session_id}
        assert not is_refused(shop.refreshed(second))

    def test_within_the_grace_a_late_caller_gets_the_very_same_pair(self, shop):
        first = shop.logged_in()
        second = shop.refreshed(first)

        shop.clock.advance(REFRESH_GRACE)

        assert shop.refreshed(first) == second
        assert not is_refused(shop.refreshed(second))

    def test_after_the_grace_a_replay_ends_the_session_and_the_shop_is_told(self, shop):
        first = shop.logged_in()
        second = shop.refreshed(first)
        shop.clock.advance(REFRESH_GRACE + timedelta(seconds=1))

        assert is_refused(shop.refreshed(first))

        assert is_refused(shop.refreshed(second))
        assert [(told.session_id, told.user_id) for told in shop.announced] == [(shop.session_id, shop.anna.id)]

    def test_the_successor_cannot_be_had_without_the_secret_or_the_salt(self, shop):
        first = shop.logged_in()
        second = shop.refreshed(first)
        stranger = Shop()
        stranger.numbers = itertools.count(1)
        stranger.refreshing = Refreshing(
            stranger.accounts, stranger.sessions, stranger.login.mint, stranger.ends, b"other secret", lambda: b"salt 2"
        )
        same_first = stranger.logged_in()

        assert same_first.refresh == first.refresh
        assert stranger.refreshed(same_first).refresh != second.refresh

    def test_what_was_never_a_refresh_token_is_refused(self, shop):
        pair = shop.logged_in()

        for text in ("", "krt_unknown", pair.access, "\0", "ü" * 512):
            assert is_refused(shop.refreshing.exchange(RefreshTokens(refresh=text)))

    def test_after_thirty_days_one_must_log_in_again_however_often_one_refreshed(self, shop):
        pair = shop.logged_in()
        for _ in range(29):
            shop.clock.advance(timedelta(days=1))
            pair = shop.refreshed(pair)
        shop.clock.advance(timedelta(days=1))

        assert is_refused(shop.refreshed(pair))

    def test_an_access_token_does_not_outlive_its_session(self, shop):
        pair = shop.logged_in()
        shop.clock.advance(SESSION_LIFE - timedelta(minutes=5))

        assert shop.refreshed(pair).expires_in == 300


class TestEnding:
    def test_logging_out_ends_the_session_once_and_tells_until_when_to_remember(self, shop):
        pair = shop.logged_in()
        request = RevokeSession(session_id=shop.session_id, user_id=shop.anna.id)

        revoke_session(request, ends=shop.ends)
        revoke_session(request, ends=shop.ends)

        (told,) = shop.announced
        assert told.forget_at > (shop.clock() + ACCESS_LIFE).timestamp()
        assert is_refused(shop.refreshed(pair))

    @pytest.mark.parametrize("session_id", ["", "no id", "12345678-1234-4678-9234-567812345678"])
    def test_a_session_that_is_none_cannot_be_ended_and_nobody_minds(self, shop, session_id):
        shop.logged_in()

        revoke_session(RevokeSession(session_id=session_id, user_id=shop.anna.id), ends=shop.ends)

        assert not shop.announced

    def test_nobody_ends_the_session_of_another(self, shop):
        shop.logged_in()

        revoke_session(RevokeSession(session_id=shop.session_id, user_id=new_id()), ends=shop.ends)

        assert not shop.announced

    def test_a_client_does_not_end_the_session_of_a_user(self, shop):
        pair, client = shop.logged_in(), a_client()
        shop.clients.add(client)

        revoke_session(RevokeSession(session_id=shop.session_id, user_id=client.id), ends=shop.ends)

        assert not shop.announced
        assert not is_refused(shop.refreshed(pair))

    def test_a_session_that_ends_as_usual_is_not_looked_for_among_the_grants(self, shop):
        shop.logged_in()
        shop.grants.end = None

        revoke_session(RevokeSession(session_id=shop.session_id, user_id=shop.anna.id), ends=shop.ends)

        assert shop.announced

    def test_ending_all_sessions_spares_none_and_is_told_once(self, shop):
        pairs = [shop.logged_in() for _ in range(3)]

        shop.ends.end_all_of(shop.anna.id, reason="test")

        (told,) = shop.announced
        assert (told.user_id, told.kept_session_id) == (shop.anna.id, "")
        assert all(claims["iat"] < told.issued_before for claims in shop.signer.claims)
        assert told.forget_at > max(claims["exp"] for claims in shop.signer.claims)
        assert all(is_refused(shop.refreshed(pair)) for pair in pairs)

    def test_ending_all_other_sessions_keeps_the_one_that_asked(self, shop):
        kept, other = shop.logged_in(), shop.logged_in()

        shop.ends.end_all_of(shop.anna.id, reason="test", but=shop.session_id)

        assert shop.announced[0].kept_session_id == shop.session_id
        assert not is_refused(shop.refreshed(kept))
        assert is_refused(shop.refreshed(other))

    def test_whatever_is_issued_after_the_end_of_all_sessions_is_not_among_those_that_it_refuses(self, shop):
        for _ in range(3):
            shop.ends.end_all_of(shop.anna.id, reason="test")
            pair = shop.logged_in()
            shop.refreshed(pair)

            cutoff = shop.cutoffs.of(shop.anna.id)
            assert [claims["iat"] for claims in shop.signer.claims[-2:]] == [cutoff.issued_before] * 2

    def test_ended_sessions_are_listed_while_a_token_of_theirs_could_be_alive(self, shop):
        shop.logged_in()
        shop.ends.end(shop.session_id, shop.anna.id, reason="test")
        forget_at = shop.announced[0].forget_at

        assert listed(shop).sessions == {shop.session_id: forget_at}
        shop.clock.advance(ACCESS_LIFE)
        assert listed(shop).sessions
        shop.clock.advance(timedelta(minutes=2))
        assert not listed(shop).sessions

    def test_users_whose_sessions_all_ended_are_listed_as_long(self, shop):
        shop.ends.end_all_of(shop.anna.id, reason="test")
        told = shop.announced[0]

        users = listed(shop).users

        assert users == {
            shop.anna.id: RevokedUser(issued_before=told.issued_before, kept_session_id="", forget_at=told.forget_at)
        }
        shop.clock.advance(ACCESS_LIFE + timedelta(minutes=2))
        assert not listed(shop).users


class TestAClosedAccount:
    @pytest.fixture
    def close(self, shop):
        def close(*, disabled=True):
            request = SwitchUser(username="ANNA", disabled=disabled)
            return switch_user(request, accounts=shop.accounts, logout=shop.ends.end_all_of)

        return close

    def test_closing_it_ends_every_session_once(self, shop, close):
        pair = shop.logged_in()

        close()
        close()

        assert len(shop.announced) == 1
        assert is_refused(shop.refreshed(pair))

    def test_it_opens_no_session_until_it_is_opened_again(self, shop, close):
        admitted = shop.anna
        close()

        with pytest.raises(InvalidCredentials):
            shop.login.open(admitted, Seed(bytes(48)))
        with pytest.raises(UserNotFound):
            shop.login.mint_access_token(MintAccessToken(username="anna"), Seed(bytes(48)))
        close(disabled=False)

        assert shop.logged_in().access

    def test_nobody_can_be_closed_who_is_not_there(self, shop):
        with pytest.raises(UserNotFound):
            switch_user(
                SwitchUser(username="nobody", disabled=True), accounts=shop.accounts, logout=shop.ends.end_all_of
            )


class TestNarrowing:
    def exchanged(self, shop, pair, scope):
        return shop.refreshing.exchange(RefreshTokens(refresh=pair.refresh, scope=scope))

    def test_a_new_token_may_be_allowed_less_and_the_one_after_it_all_again(self, shop):
        narrow = self.exchanged(shop, shop.logged_in(), "edge:admin")

        wide = shop.refreshed(narrow)

        assert narrow.scope == shop.signer.claims[1]["scope"] == "edge:admin"
        assert wide.scope == shop.signer.claims[2]["scope"] == shop.anna.scope

    @pytest.mark.parametrize("scope", ["orders:manage", "edge:admin orders:manage", "nonsense"])
    def test_it_is_never_allowed_more(self, shop, scope):
        with pytest.raises(InvalidScope):
            self.exchanged(shop, shop.logged_in(), scope)


def test_open_sessions_are_listed_and_the_asking_one_is_marked(shop):
    shop.logged_in()
    shop.logged_in()
    first, second = (claims["sid"] for claims in shop.signer.claims)

    def asked_by(session_id):
        request = ListSessions(user_id=shop.anna.id, session_id=session_id)
        return list_sessions(request, sessions=shop.sessions, clock=shop.clock)

    assert {each.id: each.is_current for each in asked_by(second)} == {first: False, second: True}
    assert list_sessions(ListSessions(user_id="no id", session_id=""), sessions=shop.sessions, clock=shop.clock) == []
