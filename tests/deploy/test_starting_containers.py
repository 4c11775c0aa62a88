"""Who waits for whom when the containers start, how many there are of each, and who is told whose command runs."""

import re

import pytest

from tests.builders.compose import ROOT, rendered

NUMBERED = {"edge", "identity", "catalog", "cart", "order", "notification"}
SERVICES = rendered()["services"]


def needed_by(name):
    """Everything without which Compose would not start this one."""
    found, left = set(), [name]
    while left:
        needs = SERVICES[left.pop()].get("depends_on", {})
        new = {other for other, how in needs.items() if how["required"]} - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nobody_needs_consul(name):
    """Not even the task that others wait for: if that could not start, Compose would start none of them."""
    assert needed_by(name) & {"consul", "consul-access"} == set()


def test_edges_need_what_they_cannot_serve_without():
    assert needed_by("nginx") >= {"edge", "cart", "rabbitmq", "postgres", "redis-carts", "redis-edge"}


def test_who_wants_a_token_waits_while_there_may_be_one():
    for name in NUMBERED:
        assert SERVICES[name]["depends_on"]["consul-access"]["condition"] == "service_completed_successfully"
    assert SERVICES["consul-access"]["depends_on"]["consul"]["condition"] == "service_healthy"


def test_the_task_does_not_wait_for_ever():
    words = SERVICES["consul-access"]["entrypoint"]

    assert 0 < float(words[words.index("--wait") + 1]) <= 60


def test_nobody_is_restarted_because_another_was():
    """Links come back by themselves; a broker that is made anew would take the whole shop along."""
    for name, service in SERVICES.items():
        assert not [other for other, how in service.get("depends_on", {}).items() if how.get("restart")], name


def test_there_are_as_many_as_the_settings_say_and_one_where_they_say_nothing():
    wished = {f"KIRANA_{name.upper()}_REPLICAS": str(number) for number, name in enumerate(sorted(NUMBERED), 2)}
    services = rendered(**wished)["services"]

    for number, name in enumerate(sorted(NUMBERED), 2):
        assert services[name]["deploy"]["replicas"] == number
        assert SERVICES[name]["deploy"]["replicas"] == 1
    assert {name for name, service in services.items() if "replicas" in service["deploy"]} == NUMBERED | {"edge-green"}


def test_the_next_version_can_take_all_that_the_present_one_takes():
    services = rendered(KIRANA_EDGE_REPLICAS="3")["services"]

    assert services["edge-green"]["deploy"]["replicas"] == services["edge"]["deploy"]["replicas"] == 3


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_no_page_has_numbers_typed_that_the_next_command_forgets(page):
    """``up`` without ``--scale`` goes back to what the file and .env say."""
    assert not re.search(r"docker compose [^`]*--scale", page.read_text())


@pytest.mark.parametrize(
    ("told", "named"),
    [({"USER": "asha"}, "asha"), ({"USER": "root", "KIRANA_OPERATOR": "ravi"}, "ravi"), ({"USER": ""}, "")],
    ids=str,
)
def test_an_operators_command_knows_who_typed_it(told, named):
    assert rendered(**told)["services"]["operator"]["environment"]["KIRANA_OPERATOR"] == named
