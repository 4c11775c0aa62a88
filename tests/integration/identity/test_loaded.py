"""Accounts that many ask for at once, one each."""

from rpc_services.identity import use_cases
from rpc_services.identity.domain import Account
from rpc_services.identity.storage import LoadedAccounts, SqlAccounts, rows_of
from shared.contracts.identity import GetUser, UserNotFound
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.builders.together import loading, together


def test_many_accounts_are_one_statement_and_one_unknown_harms_nobody_else(scope):
    accounts = [
        Account(id=new_id(), username=f"loaded-{number}", email=f"loaded-{number}@example.com", password_hash="")
        for number in range(20)
    ]
    with scope.writing() as transaction:
        for account in accounts:
            SqlAccounts(transaction, now).add(account)

    with loading(scope, rows_of) as (load, statements):
        *found, unknown, no_id = together(
            lambda user_id: use_cases.get_user(GetUser(user_id=user_id), accounts=LoadedAccounts(load)),
            *(account.id for account in accounts),
            new_id(),
            "not an id",
        )

    assert [user.username for user in found] == [account.username for account in accounts]
    assert isinstance(unknown, UserNotFound)
    assert isinstance(no_id, UserNotFound)
    assert len(statements) == 1
