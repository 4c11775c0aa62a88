"""The doors of identity: each opens a transaction, calls one use case and answers."""

from __future__ import annotations

from typing import cast

import structlog

from rpc_services.identity import client_use_cases, password_use_cases, session_use_cases, use_cases
from rpc_services.identity.assembly import Assembly, assemble, new_client_secret, new_seed
from rpc_services.identity.session_storage import SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.storage import LoadedAccounts, SqlClients, rows_of
from rpc_services.identity.sweeping import sweep
from shared.contracts import identity
from shared.contracts import identity_grants as grants
from shared.contracts import identity_operators as operators
from shared.contracts.method import CheckHealth, Health, Nothing
from shared.messaging.operations import Replay
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
        """Open an account. The password is hashed before the transaction: who waits for that needs no connection."""
        hashed = self.transactions.unless_done(lambda: self.parts.policy.hashed(request, request.password2))
        if isinstance(hashed, Replay):
            return cast("identity.User", hashed.give())
        return self.transactions.once(
            lambda transaction: use_cases.register_user(
                request, hashed, accounts=self.parts.accounts(transaction), new_id=new_id
            )
        )

    @rpc(identity.UPDATE_USER)
    def update_user(self, request: identity.UpdateUser) -> identity.User:
        """Change a profile."""
        return self.transactions.once(
            lambda transaction: use_cases.update_user(request, accounts=self.parts.accounts(transaction))
        )

    @rpc(identity.CHANGE_PASSWORD)
    def change_password(self, request: identity.ChangePassword) -> Nothing:
        """Another password, which ends all other sessions. Checked and hashed before the transaction, as above."""
        new = self.transactions.unless_done(lambda: self.parts.new_password(request, self.transactions))
        if isinstance(new, Replay):
            return cast("Nothing", new.give())
        return self.transactions.once(
            lambda transaction: password_use_cases.change_password(
                new, accounts=self.parts.accounts(transaction), logout=self.parts.ends(transaction).end_all_of
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
        account = self.parts.admitted(request, self.transactions)
        with self.transactions.writing() as transaction:
            return self.parts.login(transaction).open(account, new_seed())

    @rpc(identity.REFRESH_TOKENS)
    def refresh_tokens(self, request: identity.RefreshTokens) -> identity.TokenPair:
        """Carry a session on. Not ``once``, as above; a repetition within the grace gives the same pair anyway."""
        with self.transactions.writing() as transaction:
            if request.client_id is not None:
                self.parts.granting(transaction).authenticated(request.client_id, request.client_secret)
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
            return session_use_cases.list_revoked_sessions(
                sessions=SqlSessions(transaction),
                grants=SqlEndedGrants(transaction),
                cutoffs=SqlCutoffs(transaction),
                clock=now,
            )

    @rpc(identity.LIST_SESSIONS)
    def list_sessions(self, request: identity.ListSessions) -> list[identity.OpenSession]:
        """Where somebody is logged in."""
        with self.transactions.reading() as transaction:
            return session_use_cases.list_sessions(request, sessions=SqlSessions(transaction), clock=now)

    @rpc(identity.GRANT_CLIENT_TOKEN)
    def grant_client_token(self, request: grants.GrantClientToken) -> grants.ClientToken:
        """A token for a service or partner. Not ``once``: that would store the token."""
        with self.transactions.writing() as transaction:
            return self.parts.granting(transaction).grant(request)

    @rpc(identity.GET_JWKS)
    def get_jwks(self, request: identity.GetJwks) -> identity.Jwks:
        """The public keys."""
        del request
        return self.parts.jwks(self.transactions)

    @rpc(identity.ENSURE_STAFF)
    def ensure_staff(self, request: identity.EnsureStaff) -> identity.User:
        """Somebody of the shop's own. A late repetition must not bring back a password that was changed since."""
        return self.transactions.once(
            lambda transaction: use_cases.ensure_staff(
                request,
                accounts=self.parts.accounts(transaction),
                policy=self.parts.policy,
                logout=self.parts.ends(transaction).end_all_of,
                new_id=new_id,
            )
        )

    @rpc(identity.MINT_ACCESS_TOKEN)
    def mint_access_token(self, request: identity.MintAccessToken) -> identity.AccessToken:
        """For the operator's own terminal. Not ``once``: that would store the token."""
        with self.transactions.writing() as transaction:
            return self.parts.login(transaction).mint_access_token(request, new_seed())

    @rpc(identity.SWITCH_USER)
    def switch_user(self, request: operators.SwitchUser) -> identity.User:
        """Keep somebody out, or let them in again."""
        return self.transactions.once(
            lambda transaction: password_use_cases.switch_user(
                request,
                accounts=self.parts.accounts(transaction),
                logout=self.parts.ends(transaction).end_all_of,
            )
        )

    @rpc(identity.ADD_CLIENT)
    def add_client(self, request: operators.AddClient) -> operators.NewClient:
        """Somebody who may ask for tokens. Not ``once``: that would store the secret."""
        with self.transactions.writing() as transaction:
            return client_use_cases.add_client(
                request, clients=SqlClients(transaction), new_id=new_id, new_secret=new_client_secret, clock=now
            )

    @rpc(identity.LIST_CLIENTS)
    def list_clients(self, request: operators.ListClients) -> list[operators.Client]:
        """All who may ask for tokens."""
        del request
        with self.transactions.reading() as transaction:
            return client_use_cases.list_clients(clients=SqlClients(transaction))

    @rpc(identity.REMOVE_CLIENT)
    def remove_client(self, request: operators.RemoveClient) -> Nothing:
        """Its tokens count no more."""
        return self.transactions.once(
            lambda transaction: client_use_cases.remove_client(
                request, clients=SqlClients(transaction), ends=self.parts.ends(transaction)
            )
        )

    @rpc(identity.LIST_SIGNING_KEYS)
    def list_signing_keys(self, request: operators.ListSigningKeys) -> list[operators.SigningKey]:
        """Where each key is in its life."""
        del request
        with self.transactions.reading() as transaction:
            return self.parts.shown_keys(transaction)

    @rpc(identity.ROTATE_SIGNING_KEYS)
    def rotate_signing_keys(self, request: operators.RotateSigningKeys) -> list[operators.SigningKey]:
        """Replace the key that signs."""
        return self.transactions.once(
            lambda transaction: self.parts.rotate_keys(transaction, compromised=request.compromised)
        )

    @rpc(identity.METHODS.CHECK_HEALTH)
    def check_health(self, request: CheckHealth) -> Health:
        """Whether identity can do its work."""
        del request
        return self.health.report()

    @Ticker(seconds=60)
    def keep_house(self) -> None:
        """Turn the signing keys (the first time: make one), and only then forget what is over, for that may fail."""
        for became in self.parts.turn_keys(self.transactions):
            log.info("signing_key.turned", state=became)
        sweep(self.transactions.writing, now())
