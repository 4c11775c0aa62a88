"""What identity does: opens accounts, lets people in, keeps them in, and shuts the door behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rpc_services.identity import password_rules
from rpc_services.identity.domain import Account, is_mailable
from rpc_services.identity.throttle import Count, counts_of
from shared.contracts.identity import (
    EnsureStaff,
    GetUser,
    GetUsers,
    InvalidCredentials,
    IssueTokens,
    RegisterUser,
    TooManyAttempts,
    User,
    UserNotFound,
)
from shared.contracts.refusals import InvalidRequest, Unavailable
from shared.values.identifiers import NewId, is_id


class Known(Protocol):
    """Everybody who can log in."""

    def find(self, ids: Collection[str]) -> Sequence[Account]:
        """Those of these ids that exist."""
        ...


class Accounts(Known, Protocol):
    """The same, within one transaction, and what can be done to them."""

    def add(self, account: Account) -> None:
        """Raises ``UsernameTaken`` or ``EmailTaken``."""
        ...

    def named(self, username: str) -> Account | None:
        """By username, whatever its case."""
        ...

    def locked(self, account_id: str) -> Account | None:
        """The account as it is now; it does not change until this transaction ends."""
        ...

    def save(self, account: Account) -> None:
        """Keep a new password and new scopes."""
        ...


class Passwords(Protocol):
    """The slow, memory-hungry work of hashing. Raises ``Unavailable`` when too many wait for it."""

    def hashed(self, password: str) -> str:
        """A salted hash to keep."""
        ...

    def is_right(self, password: str, kept_hash: str | None) -> bool:
        """Takes the same time for an account that does not exist (``None``), and says no."""
        ...


class Attempts(Protocol):
    """Counters of tries to log in. Every call is kept at once, whatever becomes of the try."""

    def take(self, counts: Sequence[Count]) -> float:
        """Count a try, counter by counter up to one that is used up: gives its seconds to wait, else zero."""
        ...

    def give_back(self, counts: Sequence[Count]) -> None:
        """Undo :meth:`take` for a try that was none."""
        ...

    def succeeded(self, counts: Sequence[Count]) -> None:
        """The try was honest: give it back, and set the counters that success forgets to unused."""
        ...


class LogoutEverywhere(Protocol):
    """Ends all sessions of somebody."""

    def __call__(self, user_id: str, *, reason: str) -> None:
        """With a reason for the books."""
        ...


@dataclass(frozen=True)
class PasswordPolicy:
    """Hashes passwords, and knows which are too common to be taken."""

    passwords: Passwords
    common: Collection[str]

    def faults(self, request: RegisterUser | EnsureStaff, again: str) -> list[dict[str, str]]:
        """What is wrong with the password and the address of this request."""
        own_names = (request.username, request.email, request.email.partition("@")[0])
        faults = password_rules.faults_of(request.password, again, own_names=own_names, common=self.common)
        if not is_mailable(request.email):
            faults.append({"pointer": "/email", "detail": "No message can be sent to this address."})
        return faults

    def hashed(self, request: RegisterUser | EnsureStaff, again: str) -> str:
        """Raises ``InvalidRequest`` with every fault at once."""
        if faults := self.faults(request, again):
            raise InvalidRequest(errors=faults)
        return self.passwords.hashed(request.password)


def register_user(request: RegisterUser, *, accounts: Accounts, policy: PasswordPolicy, new_id: NewId) -> User:
    """Open an account. Raises ``InvalidRequest``, ``UsernameTaken``, ``EmailTaken`` or ``Unavailable``."""
    account = Account(
        id=new_id(),
        username=request.username,
        email=request.email,
        first_name=request.first_name,
        last_name=request.last_name,
        phone_number=request.phone_number,
        password_hash=policy.hashed(request, request.password2),
    )
    accounts.add(account)
    return profile(account)


def get_user(request: GetUser, *, accounts: Known) -> User:
    """Raises ``UserNotFound``."""
    for account in accounts.find([request.user_id] if is_id(request.user_id) else []):
        return profile(account)
    raise UserNotFound


def get_users(request: GetUsers, *, accounts: Known) -> list[User]:
    """Those that exist, each once."""
    return [profile(account) for account in accounts.find({each for each in request.user_ids if is_id(each)})]


@dataclass(frozen=True)
class Gate:
    """Where passwords are checked: who is known, how often one may try, and how generous that is."""

    account_named: Callable[[str], Account | None]
    passwords: Passwords
    attempts: Attempts
    scale: int

    def admit(self, request: IssueTokens) -> Account:
        """The account whose password this is.

        The try is counted before anything is checked, so that many at once cannot slip past the counter.
        Raises ``TooManyAttempts``, ``Unavailable``, or ``InvalidCredentials`` for a wrong password and
        for an unknown user alike.
        """
        counts = counts_of(request.username, request.client_address, scale=self.scale)
        if wait := self.attempts.take(counts):
            raise TooManyAttempts(retry_after=max(1, round(wait + 0.5)))
        account = self.account_named(request.username)
        try:
            is_right = self.passwords.is_right(request.password, account.password_hash if account else None)
        except Unavailable:
            self.attempts.give_back(counts)
            raise
        if account is None or not is_right:
            raise InvalidCredentials
        self.attempts.succeeded(counts)
        return account


def ensure_staff(
    request: EnsureStaff, *, accounts: Accounts, policy: PasswordPolicy, logout: LogoutEverywhere, new_id: NewId
) -> User:
    """Create the user, or give them this password and these scopes; what really changes ends their sessions."""
    known = accounts.named(request.username)
    known = known and accounts.locked(known.id)
    if known is None:
        fresh = Account(
            id=new_id(),
            username=request.username,
            email=request.email,
            scopes=tuple(request.scopes),
            password_hash=policy.hashed(request, request.password),
        )
        accounts.add(fresh)
        return profile(fresh)
    changed = replace(known, scopes=tuple(request.scopes))
    if not policy.passwords.is_right(request.password, known.password_hash):
        changed = replace(changed, password_hash=policy.hashed(request, request.password))
    if changed != known:
        accounts.save(changed)
        logout(known.id, reason="credentials changed")
    return profile(changed)


def profile(account: Account) -> User:
    """An account as its owner may see it."""
    return User(
        id=account.id,
        username=account.username,
        email=account.email,
        first_name=account.first_name,
        last_name=account.last_name,
        phone_number=account.phone_number,
    )
