"""A process's token has one name: where it is written, where a cluster looks for it, and where people read of it."""

import re
from pathlib import Path

import pytest
import yaml

from kirana.configuration.tokens import FIRST, file_of, names, policy_of
from kirana.stack.passwords import NAMES

ROOT = Path(__file__).parents[4]
PROCESSES = ("edge", "identity", "catalog", "cart", "order", "notification")
OF_THE_STORE = (ROOT / "kubernetes" / "overlays" / "prod" / "secrets.yaml").read_text()


@pytest.mark.parametrize("name", PROCESSES)
def test_what_is_written_is_what_the_cluster_looks_for(name):
    (own,) = [each for each in yaml.safe_load_all(OF_THE_STORE) if each["metadata"]["name"] == name]

    asked = {each["remoteRef"]["key"] for each in own["spec"]["data"] if each["secretKey"] == "consul_token"}

    assert name in names()
    assert asked == {f"kirana/{file_of(name)}"}


@pytest.mark.parametrize("page", ["security.md", "operations.md"])
def test_pages_call_policies_and_tokens_as_the_command_does(page):
    text = (ROOT / "docs" / page).read_text()

    policies = {*map(policy_of, ("PROCESS", "operator")), "global-management"}
    files = {FIRST, *map(file_of, ("PROCESS", "operator")), "consul_token"}
    assert not set(re.findall(r"-policy-name (\S+?)[`\s]", text)) - policies
    assert not set(re.findall(r"[\w<>]*consul[\w<>]*token\b", text)) - files


def test_a_token_is_drawn_for_every_policy_and_no_other():
    drawn = {name.removeprefix("consul.") for name in NAMES if name.startswith("consul.")}

    assert drawn == {"first", "gossip", *names()}
