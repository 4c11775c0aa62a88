import orjson
import pytest

from edge.rpc.calls import RpcReply
from edge.rpc.failures import RemoteRefusal
from tests.builders.answers import a_cart_answer, a_token_answer, an_order_answer
from tests.fakes.edge import FakeRedis, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
ORDER = {"items": [{"product_id": 7, "quantity": 1}]}
ITEM = {"product_id": 7, "quantity": 1}


async def ordering(*requests, replayed=False):
    """Place orders with these ``(key, body, user)``; gives the last answer and the operations that were asked for."""
    rpc = FakeRpc(place_order=RpcReply(an_order_answer(), replayed=replayed))
    async with serving(collaborators(rpc)) as client:
        for key, body, user in requests:
            headers = {"Authorization": f"Bearer {a_token(sub=user)}"}
            if key is not None:
                headers["Idempotency-Key"] = key
            answer = await client.post("/api/orders", json=body, headers=headers)
    return answer, [(context.operation_id, context.fingerprint) for _, _, context in rpc.calls]


async def test_an_order_without_a_key_is_refused_before_any_service_hears_of_it():
    answer, operations = await ordering((None, ORDER, "u"))

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_required")
    assert operations == []


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é".encode(), '""', '"a', '"a"b"'])
async def test_a_key_that_is_none_is_refused(key):
    answer, operations = await ordering((key, ORDER, "u"))

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_invalid")
    assert operations == []


async def test_a_key_means_the_same_quoted_or_bare():
    _, operations = await ordering(("k-1", ORDER, "u"), ('"k-1"', ORDER, "u"))

    assert operations[0] == operations[1]
    assert operations[0][0] == "user:u/k-1"


async def test_a_key_belongs_to_its_caller():
    _, operations = await ordering(("k", ORDER, "one"), ("k", ORDER, "two"))

    assert operations[0][0] != operations[1][0]


async def test_the_key_of_a_caller_with_a_slash_is_no_other_callers():
    asked = [("c", ORDER, "a/b"), ("b/c", ORDER, "a"), ("c", ORDER, "a%2Fb"), ("k", ORDER, "u-1")]
    _, operations = await ordering(*asked)

    ids = [operation for operation, _ in operations]
    assert len(set(ids)) == len(ids)
    assert ids[-1] == "user:u-1/k"


@pytest.mark.parametrize("key", ["k", "x" * 256, '"'])
async def test_where_the_answers_are_secrets_a_key_is_ignored(key):
    rpc = FakeRpc(issue_tokens=a_token_answer(), refresh_tokens=a_token_answer(), merge_carts=a_cart_answer())
    headers = {"Idempotency-Key": key}
    body = {"username": "ann", "password": "correct horse", "cart_token": "c" * 43}
    async with serving(collaborators(rpc)) as client:
        for password in ("correct horse", "another horse"):  # the same key for another request is no 422 either
            answer = await client.post("/api/token", json=body | {"password": password}, headers=headers)
            assert (answer.status_code, answer.headers["x-cart-merged"]) == (200, "true")
        answer = await client.post("/api/token/refresh", json={"refresh": "r" * 43}, headers=headers)

    operations = [context.operation_id for _, _, context in rpc.calls]
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers
    assert all(operation.startswith("request/") for operation in operations)
    assert len(set(operations)) == len(operations) == 5
    assert {context.fingerprint for _, _, context in rpc.calls} == {None}


async def test_another_spelling_of_the_same_body_is_the_same_request_and_another_body_is_not():
    again = {"items": [{"quantity": 1, "product_id": 7}]}
    other = {"items": [{"quantity": 2, "product_id": 7}]}
    _, operations = await ordering(("k", ORDER, "u"), ("k", again, "u"), ("k", other, "u"))

    assert operations[0] == operations[1]
    assert operations[0][1] != operations[2][1]


async def test_a_replayed_answer_says_so():
    first, _ = await ordering(("k", ORDER, "u"))
    again, _ = await ordering(("k", ORDER, "u"), replayed=True)

    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


async def adding(*headers):
    rpc = FakeRpc(add_item=a_cart_answer())
    async with serving(collaborators(rpc)) as client:
        for one in headers:
            await client.post("/api/cart/items", json=ITEM, headers=one)
    return [context.operation_id for _, _, context in rpc.calls]


async def test_without_a_key_every_request_is_its_own_operation():
    first, second = await adding({}, {})

    assert first.startswith("request/")
    assert first != second


async def test_a_guests_key_belongs_to_the_cart_without_showing_its_token_and_to_nobody_without_a_cart():
    token = "t" * 24
    with_cart, without = await adding({"Idempotency-Key": "k", "X-Cart-Token": token}, {"Idempotency-Key": "k"})

    assert with_cart.startswith("cart:")
    assert token not in with_cart
    assert without.startswith("request/")


async def test_a_repeated_refusal_says_so_too():
    refusal = RemoteRefusal("catalog.out_of_stock", "Not enough.", {})
    refusal.replayed = True
    rpc = FakeRpc(place_order=refusal)
    headers = {"Authorization": f"Bearer {a_token(sub='u')}", "Idempotency-Key": "k"}
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/orders", json=ORDER, headers=headers)

    assert (answer.status_code, answer.headers["idempotency-replayed"]) == (409, "true")


async def test_without_a_key_nothing_is_told_of_the_request_that_nobody_can_repeat():
    _, operations = await ordering(("k", ORDER, "u"))
    rpc = FakeRpc(add_item=a_cart_answer())
    async with serving(collaborators(rpc)) as client:
        await client.post("/api/cart/items", json=ITEM)

    assert operations[0][1]
    assert [context.fingerprint for _, _, context in rpc.calls] == [None]


async def test_sessions_of_one_user_do_not_log_out_for_each_other():
    rpc = FakeRpc(revoke_session={})
    async with serving(collaborators(rpc)) as client:
        for session in ("one", "two"):
            token = a_token(sub="u", sid=session)
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
            await client.post("/api/token/revoke", headers=headers)

    (first, _), (second, _) = [(context.fingerprint, context.operation_id) for _, _, context in rpc.calls]
    assert first != second


class Purging:
    """An administrator who purges one tag after another, each under the same key."""

    def __init__(self, redis=None):
        self.redis = redis or FakeRedis()
        self.headers = {"Authorization": f"Bearer {a_token(sub='admin', scope='edge:admin')}", "Idempotency-Key": "k"}

    async def purge(self, *tags):
        async with serving(collaborators(redis=self.redis)) as client:
            return [await client.post("/admin/cache/purge", json={"tag": tag}, headers=self.headers) for tag in tags]


async def test_what_no_service_keeps_the_edge_keeps_for_all_its_workers():
    purging = Purging()
    (first,) = await purging.purge("product:1")
    again, other = await purging.purge("product:1", "product:2")  # another edge with the same Redis

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")


async def test_what_the_edge_refuses_is_judged_anew_under_the_same_key():
    bad, good = await Purging().purge("no such tag", "product:1")

    assert (bad.status_code, good.status_code) == (400, 200)


async def test_while_the_first_runs_the_second_is_told_to_wait():
    purging = Purging()
    (first,) = await purging.purge("product:1")
    (name,) = [name for name in purging.redis.values if name.startswith("answer:")]
    purging.redis.values[name] = as_it_runs(purging.redis.values[name])
    (again,) = await purging.purge("product:1")

    assert first.status_code == 200
    assert (again.status_code, again.json()["code"]) == (409, "idempotency.still_running")
    assert int(again.headers["retry-after"]) >= 1


def as_it_runs(kept):
    """What Redis holds while the run goes on of which ``kept`` will be the answer."""
    return orjson.dumps({"fingerprint": orjson.loads(kept)["fingerprint"]})


class SoonDone(FakeRedis):
    """Where the first run of whatever is asked for is done when somebody asks again."""

    def __init__(self, answers):
        super().__init__()
        self.answers = answers
        self.values = {name: as_it_runs(kept) for name, kept in answers.items()}

    async def set(self, name, value, **options):
        earlier = await super().set(name, value, **options)
        self.values.update(self.answers)
        return earlier


async def test_who_asks_again_shortly_before_the_first_is_done_gets_its_answer():
    purging = Purging()
    (first,) = await purging.purge("product:1")
    answers = {name: kept for name, kept in purging.redis.values.items() if name.startswith("answer:")}
    (again,) = await Purging(SoonDone(answers)).purge("product:1")

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_who_asks_again_while_the_first_comes_to_nothing_gets_a_run_of_its_own():
    purging = Purging()
    await purging.purge("product:1")
    (name,) = [name for name in purging.redis.values if name.startswith("answer:")]

    class SoonGone(FakeRedis):
        async def set(self, *asked, **options):
            earlier = await super().set(*asked, **options)
            self.values = {kept: value for kept, value in self.values.items() if value != earlier}
            return earlier

    redis = SoonGone()
    redis.values[name] = as_it_runs(purging.redis.values[name])
    (again,) = await Purging(redis).purge("product:1")

    assert again.status_code == 200
    assert "idempotency-replayed" not in again.headers


async def test_a_key_that_cannot_be_honoured_is_a_503_and_nothing_is_done():
    redis = FakeRedis()
    redis.fault = ConnectionError()
    (answer,) = await Purging(redis).purge("product:1")

    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
