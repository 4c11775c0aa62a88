"""How a password is changed, and how an account is closed and opened again: both end sessions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rpc_services.identity.domain import Account
from rpc_services.identity.use_cases import (
    NOT_THE_PASSWORD,
    Accounts,
    Gate,
    LogoutEverywhere,
    PasswordPolicy,
    profile,
)
from shared.contracts.identity import ChangePassword, User, UserNotFound
from shared.contracts.identity_operators import SwitchUser
from shared.contracts.method import Nothing
from shared.contracts.passwords import names_of
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import is_id


@dataclass(frozen=True)
class NewPassword:
    """A password that was found good, hashed; and the hash that it may replace."""

    account_id: str
    kept_session_id: str
    former_hash: str = field(repr=False)
    new_hash: str = field(repr=False)


def new_password(
    request: ChangePassword,
    *,
    account_of: Callable[[str], Account | None],
    gate: Gate,
    policy: PasswordPolicy,
    is_done: Callable[[], bool],
) -> NewPassword:
    """Check the old password and the new one; no transaction is open meanwhile.

    ``is_done`` says whether an earlier run has made this change: then the old password is not right any more, and
    whoever gave it is no guesser. Raises ``InvalidRequest`` with every fault at once, ``UserNotFound``,
    ``TooManyAttempts`` or ``Unavailable``.
    """
    account = account_of(request.user_id) if is_id(request.user_id) else None
    if account is None:
        raise UserNotFound
    own_names = names_of(account.username, account.email)
    faults = policy.weaknesses(request.password, request.password2, own_names=own_names)
    if not gate.knows(account, request.current_password, request.client_address, has_replaced_it=is_done):
        faults.append(NOT_THE_PASSWORD)
    if faults:
        raise InvalidRequest(errors=faults)
    kept = request.session_id if is_id(request.session_id) else ""
    return NewPassword(account.id, kept, account.password_hash, policy.passwords.hashed(request.password))


def change_password(new: NewPassword, *, accounts: Accounts, logout: LogoutEverywhere) -> Nothing:
    """Keep the new password and end all other sessions. Raises ``InvalidRequest`` if another change came first."""
    account = accounts.locked(new.account_id)
    if account is None or account.password_hash != new.former_hash:
        raise InvalidRequest(errors=[NOT_THE_PASSWORD])
    accounts.save(replace(account, password_hash=new.new_hash))
    logout(account.id, reason="password changed", but=new.kept_session_id)
    return Nothing()


def switch_user(request: SwitchUser, *, accounts: Accounts, logout: LogoutEverywhere) -> User:
    """Close an account, which ends its sessions, or open it again. Raises ``UserNotFound``."""
    known = accounts.named(request.username)
    account = known and accounts.locked(known.id)
    if account is None:
        raise UserNotFound
    if account.is_disabled != request.disabled:
        accounts.save(replace(account, is_disabled=request.disabled))
        if request.disabled:
            logout(account.id, reason="account disabled")
    return profile(account)
