"""What identity does: opens accounts, lets people in, keeps them in, and shuts the door behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from msgspec import UNSET

from rpc_services.identity.domain import Account
from rpc_services.identity.throttle import Count, counts_of
from shared.contracts.identity import (
    EnsureStaff,
    GetUser,
    GetUsers,
    InvalidCredentials,
    IssueTokens,
    RegisterUser,
    TooManyAttempts,
    UpdateUser,
    User,
    UserNotFound,
)
from shared.contracts.mail_addresses import NOT_MAILABLE, is_mailable
from shared.contracts.passwords import faults_of, names_of
from shared.contracts.refusals import InvalidRequest, Unavailable
from shared.values.identifiers import NewId, is_id

NOT_THE_PASSWORD = {"pointer": "/current_password", "detail": "This is not the current password."}
_CHANGEABLE = ("email", "first_name", "last_name", "phone_number")


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
        """Keep all that can change. Raises ``EmailTaken``."""
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

    def __call__(self, user_id: str, *, reason: str, but: str = "") -> None:
        """With a reason for the books. The session with the id ``but`` goes on."""
        ...


@dataclass(frozen=True)
class PasswordPolicy:
    """Hashes passwords, and knows which are too common to be taken."""

    passwords: Passwords
    common: Collection[str]

    def weaknesses(self, password: str, again: str, *, own_names: Collection[str]) -> list[dict[str, str]]:
        """What is wrong with a new password for somebody of these names."""
        return faults_of(password, again, own_names=own_names, common=self.common)

    def faults(self, request: RegisterUser | EnsureStaff, again: str) -> list[dict[str, str]]:
        """What is wrong with the password and the address of this request."""
        faults = self.weaknesses(request.password, again, own_names=names_of(request.username, request.email))
        if not is_mailable(request.email):
            faults.append(NOT_MAILABLE)
        return faults

    def hashed(self, request: RegisterUser | EnsureStaff, again: str) -> str:
        """Raises ``InvalidRequest`` with every fault at once."""
        if faults := self.faults(request, again):
            raise InvalidRequest(errors=faults)
        return self.passwords.hashed(request.password)


def register_user(request: RegisterUser, password_hash: str, *, accounts: Accounts, new_id: NewId) -> User:
    """Open an account with a password that the policy has hashed. Raises ``UsernameTaken`` or ``EmailTaken``."""
    account = Account(
        id=new_id(),
        username=request.username,
        email=request.email,
        first_name=request.first_name,
        last_name=request.last_name,
        phone_number=request.phone_number,
        password_hash=password_hash,
    )
    accounts.add(account)
    return profile(account)


def update_user(request: UpdateUser, *, accounts: Accounts) -> User:
    """Change what is given. Raises ``InvalidRequest``, ``EmailTaken`` or ``UserNotFound``."""
    account = accounts.locked(request.user_id) if is_id(request.user_id) else None
    if account is None:
        raise UserNotFound
    given = {name: value for name in _CHANGEABLE if (value := getattr(request, name)) is not UNSET}
    if not is_mailable(given.get("email", account.email)):
        raise InvalidRequest(errors=[NOT_MAILABLE])
    changed = replace(account, **given)
    if changed != account:
        accounts.save(changed)
    return profile(changed)


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
        account = self._checked(request.username, request.password, request.client_address)
        if account is None:
            raise InvalidCredentials
        return account

    def knows(
        self, account: Account, password: str, client_address: str, *, has_replaced_it: Callable[[], bool]
    ) -> bool:
        """Whether this is the account's password. Who guesses is counted as one who tries to log in.

        ``has_replaced_it`` says whether an earlier run of this very change has put another in its place: then it was
        right, and not counted. Raises ``TooManyAttempts`` or ``Unavailable``.
        """
        is_right = self._checked(account.username, password, client_address) is not None
        if not is_right and has_replaced_it():
            self.attempts.give_back(counts_of(account.username, client_address, scale=self.scale))
        return is_right

    def _checked(self, username: str, password: str, client_address: str) -> Account | None:
        counts = counts_of(username, client_address, scale=self.scale)
        if wait := self.attempts.take(counts):
            raise TooManyAttempts(retry_after=max(1, round(wait + 0.5)))
        try:
            account = self.account_named(username)
            is_right = self.passwords.is_right(password, account.password_hash if account else None)
        except Unavailable:
            self.attempts.give_back(counts)
            raise
        if account is None or account.is_disabled or not is_right:
            return None
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
