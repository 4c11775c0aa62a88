"""Keeps accounts, clients and tries to log in, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.domain import Account, Client, sameness, sameness_of_address
from rpc_services.identity.tables import clients, known_visitors, login_attempts, users
from rpc_services.identity.throttle import KNOWN_FOR, Count
from shared.contracts.identity import EmailTaken, UsernameTaken
from shared.contracts.identity_operators import ClientNameTaken
from shared.values.times import Clock

Transact = Callable[[], AbstractContextManager[Transaction]]


def rows_of(transaction: Transaction, ids: Collection[str]) -> dict[str, Row[Any]]:
    """The rows of accounts, by id: all that is asked of the database for many who ask for one each."""
    return {row.id: row for row in transaction.execute(select(users).where(users.c.id.in_(ids)))}


class LoadedAccounts:
    """Accounts with rows that ``load`` fetches one by one, or together with others' rows."""

    def __init__(self, load: Callable[[str], Row[Any] | None]) -> None:
        self._load = load

    def find(self, ids: Collection[str]) -> Sequence[Account]:
        """Those of these ids that exist."""
        return [_account(row) for each in ids if (row := self._load(each)) is not None]


class SqlAccounts:
    """Accounts in the table ``users``."""

    def __init__(self, transaction: Transaction, clock: Clock) -> None:
        self._transaction = transaction
        self._clock = clock

    def add(self, account: Account) -> None:
        """Raises ``UsernameTaken`` or ``EmailTaken``; two at once cannot both succeed."""
        fresh = insert(users).values(
            id=account.id,
            username=account.username,
            username_sameness=sameness(account.username),
            email=account.email,
            email_sameness=sameness_of_address(account.email),
            first_name=account.first_name,
            last_name=account.last_name,
            phone_number=account.phone_number,
            scopes=list(account.scopes),
            password_hash=account.password_hash,
            created_at=self._clock(),
        )
        if self._transaction.execute(fresh.on_conflict_do_nothing().returning(users.c.id)).first() is None:
            raise UsernameTaken if self.named(account.username) else EmailTaken

    def find(self, ids: Collection[str]) -> Sequence[Account]:
        """Those of these ids that exist."""
        return [_account(row) for row in rows_of(self._transaction, ids).values()]

    def named(self, username: str) -> Account | None:
        """By username, whatever its case."""
        return self._one(users.c.username_sameness == sameness(username)) if "\0" not in username else None

    def locked(self, account_id: str) -> Account | None:
        """Reads with a lock on the row."""
        return self._one(users.c.id == account_id, for_update=True)

    def save(self, account: Account) -> None:
        """Keep all that can change. Raises ``EmailTaken``."""
        changed = {
            "email": account.email,
            "email_sameness": sameness_of_address(account.email),
            "first_name": account.first_name,
            "last_name": account.last_name,
            "phone_number": account.phone_number,
            "password_hash": account.password_hash,
            "scopes": list(account.scopes),
            "disabled_at": func.coalesce(users.c.disabled_at, self._clock()) if account.is_disabled else None,
        }
        try:
            self._transaction.execute(update(users).where(users.c.id == account.id).values(**changed))
        except IntegrityError as fault:
            raise EmailTaken from fault

    def _one(self, condition: ColumnElement[bool], *, for_update: bool = False) -> Account | None:
        query = select(users).where(condition)
        row = self._transaction.execute(query.with_for_update(key_share=True) if for_update else query).one_or_none()
        return _account(row) if row else None


class SqlClients:
    """Clients in the table ``clients``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, client: Client) -> None:
        """Raises ``ClientNameTaken``."""
        fresh = insert(clients).values(
            id=client.id,
            name=client.name,
            secret_digest=client.secret_digest,
            scopes=list(client.scopes),
            created_at=client.created_at,
        )
        if self._transaction.execute(fresh.on_conflict_do_nothing().returning(clients.c.id)).first() is None:
            raise ClientNameTaken

    def find(self, client_id: str) -> Client | None:
        """By id, with a lock on the row that others share."""
        found = select(clients).where(clients.c.id == client_id).with_for_update(read=True)
        row = self._transaction.execute(found).one_or_none()
        return _client(row) if row else None

    def all(self) -> list[Client]:
        """By name."""
        return [_client(row) for row in self._transaction.execute(select(clients).order_by(clients.c.name))]

    def remove(self, client_id: str) -> bool:
        """Gives whether there was one."""
        gone = delete(clients).where(clients.c.id == client_id).returning(clients.c.id)
        return self._transaction.execute(gone).first() is not None


class SqlAttempts:
    """Counters in the table ``login_attempts``: one upsert each, one short transaction of its own per call.

    A row says up to when its tries are paid for. A try pays for one more span, if that is not too far ahead.
    """

    def __init__(self, writing: Transact, clock: Clock) -> None:
        self._writing = writing
        self._clock = clock

    def take(self, counts: Sequence[Count]) -> float:
        """Gives the wait, in seconds, at the first counter that is used up."""
        with self._writing() as transaction:
            return next((wait for count in counts if (wait := self._take(transaction, count))), 0.0)

    def give_back(self, counts: Sequence[Count]) -> None:
        """Undo :meth:`take`."""
        with self._writing() as transaction:
            self._give_back(transaction, counts)

    def succeeded(self, counts: Sequence[Count]) -> None:
        """Give back, and set what success forgets to unused."""
        with self._writing() as transaction:
            for count in counts:
                if count.is_forgotten_on_success:
                    transaction.execute(delete(login_attempts).where(login_attempts.c.key == count.key))
                else:
                    self._give_back(transaction, [count])
                if count.waived_for is not None:
                    self._remember(transaction, count.waived_for)

    def _give_back(self, transaction: Transaction, counts: Sequence[Count]) -> None:
        for count in counts:
            if self._is_waived(transaction, count):
                continue
            earlier = login_attempts.c.paid_until - literal(count.allowance.every)
            row = login_attempts.c.key == count.key
            transaction.execute(update(login_attempts).where(row).values(paid_until=earlier))

    def _take(self, transaction: Transaction, count: Count) -> float:
        if self._is_waived(transaction, count):
            return 0.0
        now, every, depth = self._clock(), count.allowance.every, count.allowance.depth
        paid_after = func.greatest(login_attempts.c.paid_until, literal(now)) + literal(every)
        taken = (
            insert(login_attempts)
            .values(key=count.key, paid_until=now + every)
            .on_conflict_do_update(
                index_elements=["key"], set_={"paid_until": paid_after}, where=paid_after <= now + depth
            )
            .returning(login_attempts.c.paid_until)
        )
        if transaction.execute(taken).first() is not None:
            return 0.0
        paid_until = transaction.scalar(select(login_attempts.c.paid_until).where(login_attempts.c.key == count.key))
        return max((paid_until - now - depth + every).total_seconds(), 0.001) if paid_until else 0.001

    def _is_waived(self, transaction: Transaction, count: Count) -> bool:
        if count.waived_for is None:
            return False
        known = (known_visitors.c.key == count.waived_for) & (known_visitors.c.until > self._clock())
        return transaction.execute(select(known_visitors.c.key).where(known)).first() is not None

    def _remember(self, transaction: Transaction, visitor: bytes) -> None:
        until = self._clock() + KNOWN_FOR
        row = insert(known_visitors).values(key=visitor, until=until)
        transaction.execute(row.on_conflict_do_update(index_elements=["key"], set_={"until": until}))


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        username=row.username,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        phone_number=row.phone_number,
        scopes=tuple(row.scopes),
        password_hash=row.password_hash,
        is_disabled=row.disabled_at is not None,
    )


def _client(row: Row[Any]) -> Client:
    return Client(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        secret_digest=bytes(row.secret_digest),
        created_at=row.created_at,
    )
