"""Puts identity together: which use case works with which collaborators, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_bytes, token_urlsafe

from eventlet import tpool
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.client_use_cases import Granting
from rpc_services.identity.domain import Account
from rpc_services.identity.key_listing import shown
from rpc_services.identity.key_rotation import Algorithm, Step
from rpc_services.identity.password_use_cases import NewPassword, new_password
from rpc_services.identity.passwords import AT_ONCE, Argon2Passwords, Turnstile
from rpc_services.identity.session_storage import SqlAnnounce, SqlCutoffs, SqlEndedGrants, SqlSessions
from rpc_services.identity.session_use_cases import Login, Refreshing, SessionEnds
from rpc_services.identity.settings import Settings, read_settings
from rpc_services.identity.signing import KeyCabinet, KeySigner, SealedKey
from rpc_services.identity.signing_keys import SqlSigningKeys, ensured_current
from rpc_services.identity.storage import SqlAccounts, SqlAttempts, SqlClients
from rpc_services.identity.tokens import SEED_BYTES, Mint, Seed
from rpc_services.identity.use_cases import Gate, PasswordPolicy
from shared.contracts.common_passwords import COMMON
from shared.contracts.events import SigningKeysTurned
from shared.contracts.identity import ChangePassword, InvalidCredentials, IssueTokens, Jwks, TooManyAttempts
from shared.contracts.identity_operators import SigningKey
from shared.messaging.call import current
from shared.messaging.transactions import Scope
from shared.metrics.counting import logins
from shared.values.identifiers import new_id
from shared.values.times import now

SALT_BYTES = 16
SECRET_BYTES = 32


@dataclass(frozen=True)
class Assembly:
    """What lives as long as the process, and how everything that lives for one call is made of it."""

    settings: Settings
    policy: PasswordPolicy
    cabinet: KeyCabinet

    def admitted(self, request: IssueTokens, transactions: Scope) -> Account:
        """Who has this password; every try is counted by what becomes of it. Raises what the gate raises."""
        outcome = "shed"
        try:
            account = self.gate(transactions).admit(request)
            outcome = "admitted"
        except InvalidCredentials:
            outcome = "refused"
            raise
        except TooManyAttempts:
            outcome = "throttled"
            raise
        finally:
            logins[outcome]()
        return account

    def gate(self, transactions: Scope) -> Gate:
        """Where passwords are checked. No transaction is open while one is hashed."""

        def account_named(username: str) -> Account | None:
            with transactions.reading() as transaction:
                return self.accounts(transaction).named(username)

        attempts = SqlAttempts(transactions.writing, now)
        return Gate(account_named, self.policy.passwords, attempts, self.settings.login_throttle_scale)

    def new_password(self, request: ChangePassword, transactions: Scope) -> NewPassword:
        """Check the old and the new password. No transaction is open meanwhile."""

        def account_of(user_id: str) -> Account | None:
            with transactions.reading() as transaction:
                return next(iter(self.accounts(transaction).find([user_id])), None)

        return new_password(
            request,
            account_of=account_of,
            gate=self.gate(transactions),
            policy=self.policy,
            is_done=lambda: transactions.wait_for_first_run(current()) is not None,
        )

    def accounts(self, transaction: Transaction) -> SqlAccounts:
        """Everybody who can log in."""
        return SqlAccounts(transaction, now)

    def login(self, transaction: Transaction) -> Login:
        """Opens sessions."""
        accounts, sessions, ends = self.accounts(transaction), SqlSessions(transaction), self.ends(transaction)
        return Login(accounts, sessions, self._mint(transaction), ends, new_id)

    def refreshing(self, transaction: Transaction) -> Refreshing:
        """Carries sessions on."""
        return Refreshing(
            accounts=self.accounts(transaction),
            sessions=SqlSessions(transaction),
            mint=self._mint(transaction),
            ends=self.ends(transaction),
            secret=self.settings.refresh_secret,
            new_salt=lambda: token_bytes(SALT_BYTES),
        )

    def ends(self, transaction: Transaction) -> SessionEnds:
        """Ends sessions."""
        sessions, grants, cutoffs = SqlSessions(transaction), SqlEndedGrants(transaction), SqlCutoffs(transaction)
        return SessionEnds(sessions, grants, cutoffs, SqlAnnounce(transaction), now)

    def granting(self, transaction: Transaction) -> Granting:
        """Gives tokens to clients."""
        return Granting(SqlClients(transaction), self._mint(transaction), now, new_id)

    def jwks(self, transactions: Scope) -> Jwks:
        """The public keys. Whoever asks before there is one gets the first made."""
        with transactions.reading() as transaction:
            keys = SqlSigningKeys(transaction).public()
        if not keys:
            with transactions.writing() as transaction:
                ensured_current(transaction, self.new_key, now, self.settings.schedule)
                keys = SqlSigningKeys(transaction).public()
        return Jwks(keys=keys)

    def turn_keys(self, transactions: Scope) -> list[str]:
        """Take the signing keys through their lives. Raises ``WrongPassphrase``. Gives what became of keys."""
        with transactions.writing() as transaction:
            keys = self.keys(transaction)
            steps = self._turn(transaction, keys)
            if current := keys.current():
                self.cabinet.opened(current)
        return [step.state or "forgotten" for step in steps]

    def keys(self, transaction: Transaction) -> SqlSigningKeys:
        """The signing keys and their schedule."""
        return SqlSigningKeys(transaction, self.settings.schedule)

    def rotate_keys(self, transaction: Transaction, *, compromised: bool) -> list[SigningKey]:
        """Replace the current key when every cache knows the next; or all at once, if they are in wrong hands."""
        keys = self.keys(transaction)
        if compromised:
            keys.forget_all()
        else:
            keys.hasten(now())
        self._turn(transaction, keys, tell=compromised)
        return self.shown_keys(transaction)

    def shown_keys(self, transaction: Transaction) -> list[SigningKey]:
        """Every signing key and when it leaves its state."""
        return shown(self.keys(transaction).known(), self.settings.schedule)

    def new_key(self, algorithm: Algorithm) -> SealedKey:
        """Made in a native thread: finding the primes takes long."""
        key: SealedKey = tpool.execute(self.cabinet.new_key, algorithm)
        return key

    def _turn(self, transaction: Transaction, keys: SqlSigningKeys, *, tell: bool = False) -> list[Step]:
        """Do what is due, and have every edge read the key set again if that changed it."""
        steps = keys.keep_turning(self.new_key, now)
        if steps or tell:
            turned = SigningKeysTurned(key_ids=[each.kid for each in keys.known()])
            SqlAnnounce(transaction).keys(turned)
        return steps

    def _mint(self, transaction: Transaction) -> Mint:
        key = ensured_current(transaction, self.new_key, now, self.settings.schedule)
        cutoffs = SqlCutoffs(transaction)

        def dated_from(subject: str) -> int:
            cutoff = cutoffs.of(subject)
            return cutoff.issued_before if cutoff else 0

        return Mint(
            signer=KeySigner(self.cabinet, key),
            issuer=self.settings.jwt_issuer,
            audience=self.settings.jwt_audience,
            dated_from=dated_from,
        )


def new_client_secret() -> str:
    """What a client authenticates with: 256 random bits."""
    return "kcs_" + token_urlsafe(SECRET_BYTES)


def new_seed() -> Seed:
    """The random beginning of a session."""
    return Seed(token_bytes(SEED_BYTES))


def assemble(environment: Mapping[str, str]) -> Assembly:
    """Read the settings and make what is expensive. Raises ``BadSettings``."""
    settings = read_settings(environment)
    tpool.set_num_threads(AT_ONCE + 1)  # each thread keeps a hash's 19 MiB for good; the one more makes signing keys
    turnstile = Turnstile(
        at_once=AT_ONCE, waiting=max(AT_ONCE, settings.max_workers * 3 // 4)
    )  # some stay for the rest
    policy = PasswordPolicy(Argon2Passwords(turnstile), COMMON)
    return Assembly(settings, policy, KeyCabinet(settings.key_passphrase))
