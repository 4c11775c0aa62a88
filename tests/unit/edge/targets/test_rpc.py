import pytest

from tests.builders.answers import a_cart_answer, a_product_answer, an_order_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
CART_TOKEN = "t" * 24
GOOD = "correct horse battery staple"


def as_user(**headers):
    return {"Authorization": f"Bearer {a_token()}"} | headers


async def test_a_product_is_the_services_answer_with_a_tag():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        answer = await client.get("/api/products/7")

    assert answer.json() == a_product_answer()
    assert answer.headers["etag"].startswith('"4-')
    assert rpc.calls[0][:2] == ("get_product", {"product_id": 7})


async def test_a_bad_password_is_named_with_all_other_faults_of_the_request():
    body = {"username": "!", "password": "short", "password2": "other", "email": "nowhere", "role": "admin"}
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        problem = (await client.post("/api/users", json=body)).json()
        change = {"password": "short", "password2": "other"}
        changing = (await client.post("/api/users/me/password", json=change, headers=as_user())).json()

    assert {each["pointer"] for each in problem["errors"]} == {
        "/username", "/password", "/password2", "/email", "/role",
    }  # fmt: skip
    assert {each["pointer"] for each in changing["errors"]} == {"/current_password", "/password", "/password2"}
    assert rpc.calls == []


async def test_an_address_that_no_mail_can_go_to_is_named_with_all_other_faults_of_the_request():
    body = {"username": "!", "password": GOOD, "password2": GOOD, "email": "a@[127.0.0.1]"}
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        opening = (await client.post("/api/users", json=body)).json()
        profile = {"email": "a@b_c.com", "phone_number": "x"}
        changing = (await client.patch("/api/users/me", json=profile, headers=as_user())).json()

    assert sorted(each["pointer"] for each in opening["errors"]) == ["/email", "/username"]
    assert sorted(each["pointer"] for each in changing["errors"]) == ["/email", "/phone_number"]
    assert rpc.calls == []


@pytest.mark.parametrize("changed", [{"password": 7}, {"role": "admin"}, {"password2": None}])
async def test_what_is_no_request_is_no_guess_at_the_current_password_either(changed):
    """Identity counts each guess: none is free, and none is spent on what must be refused anyway."""
    rpc = FakeRpc()
    body = {"current_password": "a guess", "password": GOOD, "password2": GOOD} | changed
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/users/me/password", json=body, headers=as_user())

    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {f"/{name}" for name in changed}
    assert rpc.calls == []


async def test_whoever_logs_in_may_have_a_password_of_any_length():
    pair = {"access": "a", "refresh": "r", "token_type": "Bearer", "expires_in": 1, "scope": "", "user_id": "u"}
    rpc = FakeRpc(issue_tokens=pair)
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/token", json={"username": "anna", "password": "old"})

    assert answer.status_code == 200
    assert rpc.calls[0][1]["password"] == "old"


async def test_what_the_client_has_is_not_sent_again():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()))) as client:
        tag = (await client.get("/api/products/7")).headers["etag"]
        again = await client.get("/api/products/7", headers={"If-None-Match": tag})
        head = await client.head("/api/products/7", headers={"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert head.status_code == 304


async def test_head_is_get_without_the_body():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()))) as client:
        get, head = await client.get("/api/products/7"), await client.head("/api/products/7")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


async def test_a_list_is_an_array_with_a_link_that_leads_on():
    pages = {None: ([1, 2], "after 2"), "after 2": ([3], None)}

    async def page(arguments, _context):
        ids, following = pages[arguments.get("cursor")]
        return {"items": [a_product_answer(id=number) for number in ids], "next_cursor": following}

    async with serving(collaborators(FakeRpc(list_products=page))) as client:
        first = await client.get("/api/products/?limit=2&q=rice%20%26%20beans")
        second = await client.get(first.links["next"]["url"])

    assert [one["id"] for one in first.json()] == [1, 2]
    assert "after" not in first.links["next"]["url"]
    assert [one["id"] for one in second.json()] == [3]
    assert "link" not in second.headers


async def test_a_cursor_is_good_only_for_the_list_it_came_from():
    rpc = FakeRpc(list_products={"items": [], "next_cursor": "after 2"})
    async with serving(collaborators(rpc)) as client:
        url = (await client.get("/api/products?q=rice")).links["next"]["url"]
        other_filter = await client.get(url.replace("q=rice", "q=beans"))
        tampered = await client.get(url.replace("cursor=", "cursor=A"))
        plain = await client.get("/api/products?cursor=after 2")

    assert [one.status_code for one in (other_filter, tampered, plain)] == [400, 400, 400]
    assert plain.json()["errors"][0]["pointer"] == "/cursor"
    assert len(rpc.calls) == 1


async def test_every_fault_of_a_query_is_named_at_once_that_of_its_cursor_among_them():
    async with serving(collaborators(FakeRpc())) as client:
        answer = await client.get("/api/products?cursor=x&limit=1e9&sort=odd&colour=red")

    assert answer.status_code == 400
    assert sorted(fault["pointer"] for fault in answer.json()["errors"]) == ["/colour", "/cursor", "/limit", "/sort"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "colour=red", "sort=sideways", "limit=1&limit=2", "q=%ff", "a[]=1", "q=a&" * 101]
)
async def test_a_bad_query_reaches_no_service(query):
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        answer = await client.get(f"/api/products?{query}")

    assert answer.status_code == 400
    assert rpc.calls == []


async def test_a_new_order_says_where_it_is_and_hides_what_is_ours():
    rpc = FakeRpc(place_order=an_order_answer(id="o-9"))
    body = {"items": [{"product_id": 7, "quantity": 1}]}
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/orders", json=body, headers=as_user(**{"Idempotency-Key": "k"}))

    assert (answer.status_code, answer.headers["location"]) == (201, "/api/orders/o-9")
    assert answer.headers["etag"].startswith('"3-')
    assert "version" not in answer.json()
    assert rpc.calls[0][1] == body | {"user_id": "user-1"}
    assert rpc.calls[0][2].user_id == "user-1"


async def test_a_guest_gets_the_new_carts_token_in_a_header_only():
    rpc = FakeRpc(add_item=a_cart_answer(cart_token=CART_TOKEN))
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/cart/items", json={"product_id": 7, "quantity": 1})

    assert answer.headers["x-cart-token"] == CART_TOKEN
    assert "cart_token" not in answer.json()


async def test_a_guest_is_known_by_the_carts_token_and_a_user_by_the_access_token():
    rpc = FakeRpc(get_cart=a_cart_answer())
    async with serving(collaborators(rpc)) as client:
        await client.get("/api/cart", headers={"X-Cart-Token": CART_TOKEN})
        await client.get("/api/cart", headers=as_user(**{"X-Cart-Token": CART_TOKEN}))
        nobody = await client.get("/api/cart", headers={"X-Cart-Token": "../x"})

    assert [arguments for _, arguments, _ in rpc.calls] == [{"cart_token": CART_TOKEN}, {"user_id": "user-1"}]
    assert nobody.json()["errors"][0]["pointer"] == "/X-Cart-Token"


async def test_if_match_becomes_the_expected_version():
    rpc = FakeRpc(set_item=a_cart_answer())
    async with serving(collaborators(rpc)) as client:
        for tag in ('"5"', '"5-abc"', "*"):
            await client.put("/api/cart/items/7", json={"quantity": 2}, headers={"If-Match": tag})
        stale = await client.put("/api/cart/items/7", json={"quantity": 2}, headers={"If-Match": '"x"'})
        malformed = await client.put("/api/cart/items/7", json={"quantity": 2}, headers={"If-Match": "5"})

    assert [arguments.get("expected_version") for _, arguments, _ in rpc.calls] == [5, 5, None]
    assert (stale.status_code, malformed.status_code) == (412, 400)


async def test_the_stock_in_a_products_tag_goes_with_a_change_of_it():
    rpc = FakeRpc(get_product=a_product_answer(stock=3), update_product=a_product_answer(), set_item=a_cart_answer())
    staff = {"authorization": f"Bearer {a_token(scope='catalog:write')}"}
    async with serving(collaborators(rpc)) as client:
        tag = (await client.get("/api/products/7")).headers["etag"]
        for if_match in ({"If-Match": tag}, {"If-Match": '"4-abc"'}, {}):
            await client.patch("/api/products/7", json={"stock": 10}, headers=staff | if_match)

    changes = [(arguments, context) for method, arguments, context in rpc.calls if method == "update_product"]
    assert [arguments.get("expected_version") for arguments, _ in changes] == [4, 4, None]
    assert [context.beside_version for _, context in changes] == [3, None, None]


async def test_a_precondition_counts_only_for_a_request_that_is_else_in_order():
    async with serving(collaborators()) as client:
        answers = [
            await client.put("/api/cart/items/7", json={"quantity": 0}, headers={"If-Match": tag})
            for tag in ('"x"', "5")
        ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert [fault["pointer"] for answer in answers for fault in answer.json()["errors"]] == ["/quantity", "/quantity"]


async def test_a_deletion_has_no_body():
    rpc = FakeRpc(delete_product={})
    headers = {"Authorization": f"Bearer {a_token(scope='catalog:write')}"}
    async with serving(collaborators(rpc)) as client:
        answer = await client.delete("/api/products/7", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")


async def test_every_bad_field_is_named_at_once_and_no_service_hears_of_it():
    rpc = FakeRpc()
    body = {"items": [{"product_id": 7, "quantity": 1.5}, {"product_id": -1, "price": "0.01"}], "total": "0.01"}
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/orders?debug=1", json=body, headers=as_user(**{"Idempotency-Key": "k"}))

    assert {fault["pointer"] for fault in answer.json()["errors"]} == {
        "/debug",
        "/items/0/quantity",
        "/items/1/product_id",
        "/items/1/quantity",
        "/items/1/price",
        "/total",
    }
    assert rpc.calls == []
