"""The doors of identity: each opens a transaction, calls one use case and answers."""

from __future__ import annotations

import structlog

from rpc_services.identity import session_use_cases, use_cases
from rpc_services.identity.assembly import Assembly, assemble, new_seed
from rpc_services.identity.storage import LoadedAccounts, SqlSessions, rows_of
from shared.contracts import identity
from shared.contracts.method import CheckHealth, Health, Nothing
from shared.messaging.transactions import Scope
from shared.nameko_ext import Configured, HealthReport, Loaded, Outbox, Ticker, Transactions, rpc
from shared.values.identifiers import new_id
from shared.values.times import now

log = structlog.get_logger()


class Service:
    """Who somebody is."""

    name = "identity"
    parts: Assembly = Configured(assemble)
    transactions: Scope = Transactions()
    account_row = Loaded(rows_of)
    outbox = Outbox()
    health = HealthReport("database")

    @rpc(identity.REGISTER_USER)
    def register_user(self, request: identity.RegisterUser) -> identity.User:
        """Open an account."""
        return self.transactions.once(
            lambda transaction: use_cases.register_user(
                request, accounts=self.parts.accounts(transaction), policy=self.parts.policy, new_id=new_id
            )
        )

    @rpc(identity.GET_USER)
    def get_user(self, request: identity.GetUser) -> identity.User:
        """One user."""
        return use_cases.get_user(request, accounts=LoadedAccounts(self.account_row))

    @rpc(identity.GET_USERS)
    def get_users(self, request: identity.GetUsers) -> list[identity.User]:
        """Many users at once."""
        with self.transactions.reading() as transaction:
            return use_cases.get_users(request, accounts=self.parts.accounts(transaction))

    @rpc(identity.ISSUE_TOKENS)
    def issue_tokens(self, request: identity.IssueTokens) -> identity.TokenPair:
        """Log in. Not ``once``: that would store the tokens in clear; a repetition opens another session."""
        account = self.parts.gate(self.transactions).admit(request)
        with self.transactions.writing() as transaction:
            return self.parts.login(transaction).open(account, new_seed())

    @rpc(identity.REFRESH_TOKENS)
    def refresh_tokens(self, request: identity.RefreshTokens) -> identity.TokenPair:
        """Carry a session on. Not ``once``, as above; a repetition within the grace gives the same pair anyway."""
        with self.transactions.writing() as transaction:
            outcome = self.parts.refreshing(transaction).exchange(request)
        if isinstance(outcome, identity.InvalidRefreshToken):
            raise outcome  # only now: what a replay ended must be kept
        return outcome

    @rpc(identity.REVOKE_SESSION)
    def revoke_session(self, request: identity.RevokeSession) -> Nothing:
        """Log out."""
        return self.transactions.once(
            lambda transaction: session_use_cases.revoke_session(request, ends=self.parts.ends(transaction))
        )

    @rpc(identity.LIST_REVOKED_SESSIONS)
    def list_revoked_sessions(self, request: identity.ListRevokedSessions) -> identity.RevokedSessions:
        """What an edge asks when it starts."""
        del request
        with self.transactions.reading() as transaction:
            return session_use_cases.list_revoked_sessions(sessions=SqlSessions(transaction), clock=now)

    @rpc(identity.GET_JWKS)
    def get_jwks(self, request: identity.GetJwks) -> identity.Jwks:
        """The public keys."""
        del request
        return self.parts.jwks(self.transactions)

    @rpc(identity.ENSURE_STAFF)
    def ensure_staff(self, request: identity.EnsureStaff) -> identity.User:
        """Somebody of the shop's own. Its effect is the same however often; so nothing need be remembered."""
        with self.transactions.writing() as transaction:
            accounts, logout = self.parts.accounts(transaction), self.parts.ends(transaction).end_all_of
            return use_cases.ensure_staff(
                request, accounts=accounts, policy=self.parts.policy, logout=logout, new_id=new_id
            )

    @rpc(identity.MINT_ACCESS_TOKEN)
    def mint_access_token(self, request: identity.MintAccessToken) -> identity.AccessToken:
        """For the operator's own terminal. Not ``once``: that would store the token."""
        with self.transactions.writing() as transaction:
            return self.parts.login(transaction).mint_access_token(request, new_seed())

    @rpc(identity.METHODS.CHECK_HEALTH)
    def check_health(self, request: CheckHealth) -> Health:
        """Whether identity can do its work."""
        del request
        return self.health.report()

    @Ticker(seconds=60)
    def keep_house(self) -> None:
        """Turn the signing keys (the first time: make one) and forget what is over."""
        for became in self.parts.keep_house(self.transactions):
            log.info("signing_key.turned", state=became)
