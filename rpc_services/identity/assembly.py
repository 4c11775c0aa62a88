"""Puts identity together: which use case works with which collaborators, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_bytes

from eventlet import tpool
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity import storage
from rpc_services.identity.domain import Account
from rpc_services.identity.passwords import AT_ONCE, Argon2Passwords, Turnstile, read_common_passwords
from rpc_services.identity.session_use_cases import Login, Refreshing, SessionEnds
from rpc_services.identity.settings import Settings, read_settings
from rpc_services.identity.signing import KeyCabinet, KeySigner, SealedKey
from rpc_services.identity.signing_keys import SqlSigningKeys, ensured_current
from rpc_services.identity.storage import SqlAccounts, SqlAnnounce, SqlAttempts, SqlSessions
from rpc_services.identity.tokens import SEED_BYTES, Mint, Seed
from rpc_services.identity.use_cases import Gate, PasswordPolicy
from shared.contracts.identity import Jwks
from shared.messaging.transactions import Scope
from shared.values.identifiers import new_id
from shared.values.times import now

SALT_BYTES = 16


@dataclass(frozen=True)
class Assembly:
    """What lives as long as the process, and how everything that lives for one call is made of it."""

    settings: Settings
    policy: PasswordPolicy
    cabinet: KeyCabinet

    def gate(self, transactions: Scope) -> Gate:
        """Where passwords are checked. No transaction is open while one is hashed."""

        def account_named(username: str) -> Account | None:
            with transactions.reading() as transaction:
                return self.accounts(transaction).named(username)

        attempts = SqlAttempts(transactions.writing, now)
        return Gate(account_named, self.policy.passwords, attempts, self.settings.login_throttle_scale)

    def accounts(self, transaction: Transaction) -> SqlAccounts:
        """Everybody who can log in."""
        return SqlAccounts(transaction, now)

    def login(self, transaction: Transaction) -> Login:
        """Opens sessions."""
        return Login(self.accounts(transaction), SqlSessions(transaction), self._mint(transaction), now, new_id)

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
        return SessionEnds(SqlSessions(transaction), SqlAnnounce(transaction), now)

    def jwks(self, transactions: Scope) -> Jwks:
        """The public keys. Whoever asks before there is one gets the first made."""
        with transactions.reading() as transaction:
            keys = SqlSigningKeys(transaction).public()
        if not keys:
            with transactions.writing() as transaction:
                ensured_current(transaction, self.new_key, now)
                keys = SqlSigningKeys(transaction).public()
        return Jwks(keys=keys)

    def keep_house(self, transactions: Scope) -> list[str]:
        """Turn the signing keys and forget what is over. Raises ``WrongPassphrase``. Gives what became of keys."""
        with transactions.writing() as transaction:
            storage.sweep(transaction, now())
            keys = SqlSigningKeys(transaction)
            steps = keys.keep_turning(self.new_key, now)
            if current := keys.current():
                self.cabinet.opened(current)
        return [step.state or "forgotten" for step in steps]

    def new_key(self) -> SealedKey:
        """Made in a native thread: finding the primes takes long."""
        key: SealedKey = tpool.execute(self.cabinet.new_key)
        return key

    def _mint(self, transaction: Transaction) -> Mint:
        key = ensured_current(transaction, self.new_key, now)
        signer = KeySigner(self.cabinet, key)
        return Mint(signer=signer, issuer=self.settings.jwt_issuer, audience=self.settings.jwt_audience)


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
    policy = PasswordPolicy(Argon2Passwords(turnstile), read_common_passwords())
    return Assembly(settings, policy, KeyCabinet(settings.key_passphrase))
