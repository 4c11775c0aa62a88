import pytest
import yaml

from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

ROUTE = {
    "name": "set_stock", "method": "POST", "path": "/stock/{product_id}", "summary": "Set", "tag": "Stock",
    "call": "identity.register_user", "auth": "none", "limits": None, "idempotency": "accepted",
}  # fmt: skip


def a_table(tmp_path, *routes):
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump({"rates": {}, "routes": list(routes)}))
    return path


REGISTER = ROUTE | {
    "name": "register", "path": "/members",
    "arguments": dict.fromkeys(("username", "password", "password2", "email"), "body"),
    "answer": {"status": 201},
    "transforms": {
        "request": {"json": {"rename": {"login": "username", "secret": "password"}, "drop": ["utm"]}},
        "response": {
            "json": {
                "drop": ["phone_number"], "rename": {"username": "login"},
                "nest": {"name": ["first_name", "last_name"]},
            },
            "headers": {"set": {"X-Served-By": "members"}},
        },
    },
}  # fmt: skip
ANSWER = {
    "id": "u",
    "username": "ann",
    "email": "a@b.example",
    "first_name": "A",
    "last_name": "B",
    "phone_number": "1",
}


async def test_a_call_gets_the_changed_body_and_its_answer_goes_out_changed(tmp_path):
    rpc = FakeRpc(register_user=dict(ANSWER))
    asked = {
        "login": "ann",
        "secret": "correct horse",
        "password2": "correct horse",
        "email": "a@b.example",
        "utm": "x",
    }
    async with serving(collaborators(rpc), a_table(tmp_path, REGISTER)) as client:
        response = await client.post("/members", json=asked)

    ((name, arguments, _),) = rpc.calls
    assert name == "register_user"
    assert arguments == {
        "username": "ann", "password": "correct horse", "password2": "correct horse", "email": "a@b.example",
    }  # fmt: skip
    assert response.status_code == 201
    assert response.json() == {
        "id": "u", "login": "ann", "email": "a@b.example", "name": {"first_name": "A", "last_name": "B"},
    }  # fmt: skip
    assert response.headers["x-served-by"] == "members"
    assert response.headers["content-length"] == str(len(response.content))


async def test_a_problem_stays_a_problem(tmp_path):
    async with serving(collaborators(FakeRpc()), a_table(tmp_path, REGISTER)) as client:
        response = await client.post("/members", json={"login": "ann"})

    assert (response.status_code, response.json()["code"]) == (400, "request.invalid")
    assert "x-served-by" not in response.headers
