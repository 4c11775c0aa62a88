import pytest

from edge.rpc.rulings import RulingsAway
from tests.fakes.edge import a_token, collaborators, serving

pytestmark = pytest.mark.anyio
ADMIN = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}


class FakeRulings:
    def __init__(self, fault=None):
        self.fault = fault
        self.held = []

    async def hold(self, service, method, ruling):
        if self.fault:
            raise self.fault
        self.held.append((service, method, ruling))


async def put(service, body, *, rulings=None, headers=ADMIN):
    parts = collaborators()
    object.__setattr__(parts, "rulings", rulings)
    async with serving(parts) as client:
        return await client.put(f"/admin/breakers/{service}", json=body, headers=headers)


async def test_an_administrator_sees_the_breakers():
    async with serving(collaborators()) as client:
        answer = await client.get("/admin/breakers", headers=ADMIN)

    assert answer.json() == {"catalog": {"breaker": "closed"}}


async def test_an_administrator_holds_a_breaker_and_is_told_when_that_is_so_everywhere():
    rulings = FakeRulings()
    answer = await put("catalog", {"state": "open", "method": "get_product"}, rulings=rulings)

    assert answer.status_code == 200
    assert answer.json() == {
        "service": "catalog",
        "method": "get_product",
        "state": "open",
        "everywhere_within": 1.0,
    }
    assert rulings.held == [("catalog", "get_product", "open")]


async def test_without_a_method_the_whole_service_is_meant():
    rulings = FakeRulings()
    await put("catalog", {"state": "automatic"}, rulings=rulings)

    assert rulings.held == [("catalog", None, "automatic")]


@pytest.mark.parametrize(
    ("service", "body", "status"),
    [
        pytest.param("nobody", {"state": "open"}, 404, id="no such service"),
        pytest.param("catalog", {"state": "open", "method": "nothing"}, 400, id="no such method"),
        pytest.param("catalog", {"state": "ajar"}, 400, id="no such state"),
        pytest.param("catalog", {}, 400, id="no state"),
    ],
)
async def test_what_cannot_be_meant_is_refused(service, body, status):
    rulings = FakeRulings()

    assert (await put(service, body, rulings=rulings)).status_code == status
    assert rulings.held == []


@pytest.mark.parametrize("rulings", [None, FakeRulings(RulingsAway("away"))], ids=["none kept", "redis away"])
async def test_a_ruling_that_would_not_reach_all_workers_is_not_made(rulings):
    answer = await put("catalog", {"state": "open"}, rulings=rulings)

    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_only_administrators_may():
    rulings = FakeRulings()
    answer = await put("catalog", {"state": "open"}, rulings=rulings, headers={"Authorization": f"Bearer {a_token()}"})

    assert answer.status_code == 403
    assert rulings.held == []
