"""Those who try again and again: they are slowed down as whoever they are, and nobody else pays for it."""

from collections import Counter
from contextlib import asynccontextmanager

import pytest

from edge.rpc.failures import RemoteRefusal
from rpc_services.identity.use_cases import Gate
from shared.contracts.identity import InvalidCredentials, IssueTokens, TooManyAttempts
from tests.builders.answers import an_order_answer
from tests.fakes.clock import FakeClock
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving
from tests.fakes.identity import FakeAccounts, FakeAttempts, FakePasswords, an_account

pytestmark = pytest.mark.anyio

HOME, ABROAD = "203.0.113.5", "192.0.2.77"
LINE = {"product_id": 1, "quantity": 1}


@asynccontextmanager
async def an_edge(rpc):
    """Clients say by ``X-Forwarded-For`` whence they come; the shared windows are those of a minute that never ends."""
    parts = collaborators(rpc, trusted_proxies=("127.0.0.0/8",))
    await parts.limiter.open()
    try:
        async with serving(parts) as client:
            yield client
    finally:
        await parts.limiter.close()


class Identity(FakeRpc):
    """The real gate, with real rules of throttling; one account."""

    def __init__(self):
        super().__init__(issue_tokens=self._let_in)
        self.accounts, self.passwords = FakeAccounts(), FakePasswords()
        self.anna = an_account(username="anna", password_hash="hash of secret")
        self.accounts.add(self.anna)
        self._gate = Gate(self.accounts.named, self.passwords, FakeAttempts(FakeClock()), 1)

    async def _let_in(self, arguments, _context):
        try:
            user_id = self._gate.admit(IssueTokens(**arguments)).id
        except (InvalidCredentials, TooManyAttempts) as refusal:
            raise RemoteRefusal(refusal.code, refusal.sentence, refusal.details) from None
        return {
            "access": "a", "refresh": "r", "token_type": "Bearer", "expires_in": 1, "scope": "", "user_id": user_id,
        }  # fmt: skip


async def tried(client, *, address, username="anna", password="wrong"):
    body = {"username": username, "password": password}
    return await client.post("/api/token", json=body, headers={"X-Forwarded-For": address})


def outcomes(answers):
    """How often which code; whoever is to wait is told how long."""
    for answer in answers:
        assert answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1
    return Counter((answer.status_code, answer.json().get("code")) for answer in answers)


async def test_b18_of_fifty_guesses_from_one_place_ten_are_looked_at_and_the_owner_comes_in_from_another():
    identity = Identity()
    async with an_edge(identity) as client:
        guesses = [await tried(client, address=ABROAD) for _ in range(50)]
        owner = await tried(client, address=HOME, password="secret")
        late = await tried(client, address=ABROAD, password="secret")

    assert outcomes(guesses) == {
        (401, "identity.invalid_credentials"): 10,
        (429, "identity.too_many_attempts"): 20,
        (429, "quota.exceeded"): 20,
    }
    assert len(identity.passwords.checked) == 10 + 1
    assert (owner.status_code, late.status_code) == (200, 429)


async def test_b18_of_fifty_accounts_that_one_place_tries_thirty_are_looked_at_and_none_is_shut():
    identity = Identity()
    async with an_edge(identity) as client:
        guesses = [await tried(client, address=ABROAD, username=f"somebody-{number}") for number in range(49)]
        last = await tried(client, address=ABROAD)
        owner = await tried(client, address=HOME, password="secret")

    assert outcomes([*guesses, last]) == {(401, "identity.invalid_credentials"): 30, (429, "quota.exceeded"): 20}
    assert len(identity.passwords.checked) == 30 + 1
    assert owner.status_code == 200


async def test_b18_of_guesses_from_everywhere_a_hundred_are_looked_at_and_the_owner_is_not_shut_out_at_home():
    identity = Identity()
    async with an_edge(identity) as client:
        known = await tried(client, address=HOME, password="secret")
        places = [f"198.51.{third}.{fourth}" for third in range(3) for fourth in range(50)]
        guesses = [await tried(client, address=place) for place in places]
        owner = await tried(client, address=HOME, password="secret")

    assert outcomes(guesses) == {(401, "identity.invalid_credentials"): 100, (429, "identity.too_many_attempts"): 50}
    assert (known.status_code, owner.status_code) == (200, 200)


async def test_b18_b20_who_guesses_learns_nothing_of_whether_the_account_is_there():
    identity = Identity()
    async with an_edge(identity) as client:
        known = [await tried(client, address=ABROAD, username="anna") for _ in range(12)]
        unknown = [await tried(client, address=ABROAD, username="nobody") for _ in range(12)]

    def told(answer):
        document = {name: value for name, value in answer.json().items() if name != "request_id"}
        varying = {"x-request-id", "server-timing", "ratelimit", "date"}
        return answer.status_code, document, {k: v for k, v in answer.headers.items() if k not in varying}

    assert [told(answer) for answer in known] == [told(answer) for answer in unknown]
    assert identity.passwords.checked == ["hash of secret"] * 10 + [None] * 10, "the same work for both"


async def test_c11_a_bot_that_orders_five_hundred_times_a_minute_gets_sixty_and_nobody_else_has_less():
    rpc = FakeRpc(place_order=an_order_answer())
    async with an_edge(rpc) as client:

        async def ordered(user, address, number):
            headers = {
                "Authorization": f"Bearer {a_token(sub=user)}",
                "X-Forwarded-For": address,
                "Idempotency-Key": f"{number}",
            }
            return await client.post("/api/orders", json={"items": [LINE]}, headers=headers)

        bot = [await ordered("bot", f"192.0.{number % 2}.{number % 250 + 1}", number) for number in range(500)]
        others = [await ordered(f"user-{number}", "192.0.0.1", 0) for number in range(10)]

    assert Counter(answer.status_code for answer in bot) == {201: 60, 429: 440}
    assert bot[-1].json()["violated_policies"] == ["order-caller"]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in bot if answer.status_code == 429)
    assert {answer.status_code for answer in others} == {201}
    assert len(rpc.calls) == 60 + 10, "what is over the limit never reaches the stock"
