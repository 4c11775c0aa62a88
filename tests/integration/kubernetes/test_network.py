"""Who may speak with whom: what docs/architecture.md draws, and nothing else."""

import re
from itertools import pairwise

import pytest

from tests.builders.manifests import PROCESSES, ROOT
from tests.builders.reach import Party, Policies

SERVICES = PROCESSES[1:]
DRAWN = {"broker": ("rabbitmq", 5672), "pg": ("postgres", 5432), "redis": ("redis-carts", 6379)} | {
    "redis2": ("redis-edge", 6379)
}
"""What the picture's nodes are here; the journal is a file."""

GATEWAY = Party("gateway", namespace={"kirana/may": "enter"})
PROMETHEUS = Party("prometheus", namespace={"kirana/may": "watch"})
ELASTIC = Party("elastic", namespace={"kirana/may": "keep-logs"})
STRANGER = Party("stranger", namespace={"kubernetes.io/metadata.name": "elsewhere"})
INTERNET = Party("internet", address="203.0.113.7")
METADATA = Party("metadata", address="169.254.169.254")
DNS = Party("dns", labels={"k8s-app": "kube-dns"}, namespace={"kubernetes.io/metadata.name": "kube-system"})
OPERATORS = [
    Party(name, namespace={"kubernetes.io/metadata.name": name})
    for name in ("rabbitmq-system", "cnpg-system", "redis-operator")
]
PORTS = (25, 53, 80, 443, 465, 587, 1025, 4369, 5432, 5672, 6379, 8000, 8025, 8300, 8301, 8500, 9121, 9187)
PORTS += (9200, 9700, 9701, 15672, 15692, 25672, 35672)


def parties_of(manifests, overlay):
    ours = [Party(name, labels) for name, labels, _ in manifests.pods()]
    if overlay == "prod":  # the operators' pods carry the label that their resources give them
        for resource in manifests.of("RabbitmqCluster", "Cluster", "Redis").values():
            name = resource["metadata"]["name"]
            ours.append(Party(name, {"kirana/store": resource["metadata"]["labels"]["kirana/store"]}))
    return ours


def drawn():
    """The arrows between processes and stores in the picture of docs/architecture.md."""
    picture = re.search(r"```mermaid\nflowchart.*?```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)[0]
    found = set()
    for line in picture.splitlines():
        ends = re.split(r"\s*(?:-->|---)(?:\|[^|]*\|)?\s*", re.sub(r"\[[^\]]*\]|\(\(.*?\)\)|\[\(.*?\)\]", "", line))
        nodes = [[re.match(r"\s*(\w*)", each)[1] for each in end.split("&")] for end in ends]
        for left, right in pairwise(nodes):
            found |= {pair for one in left for other in right for pair in [(one, other), (other, one)]}
    return {(one, *DRAWN[other]) for one, other in found if one in PROCESSES and other in DRAWN}


def expected(overlay):
    """Every connection there is, beside the names of the cluster."""
    allowed = drawn() | {("gateway", "edge", 8000)}
    allowed |= {(name, "consul", 8500) for name in PROCESSES} | {("consul", "consul", port) for port in (8300, 8301)}
    allowed |= {("prometheus", name, 9700) for name in PROCESSES}
    if overlay == "dev":
        allowed |= {(f"migrate-{name}", "postgres", 5432) for name in SERVICES if name != "cart"}
        return allowed | {("notification", "mail", 1025), ("broker-definitions", "rabbitmq", 15672)}
    allowed |= {("notification", "internet", port) for port in (465, 587)}
    allowed |= {(name, "elastic", 9200) for name in PROCESSES} | {("prometheus", name, 9701) for name in PROCESSES}
    allowed |= {("rabbitmq", "rabbitmq", port) for port in (4369, 25672, 35672)}
    allowed |= {("rabbitmq-system", "rabbitmq", 15672), ("prometheus", "rabbitmq", 15692)}
    allowed |= {("postgres", "postgres", port) for port in (5432, 8000)}
    allowed |= {("cnpg-system", "postgres", port) for port in (5432, 8000)} | {("prometheus", "postgres", 9187)}
    for name in ("redis-carts", "redis-edge"):
        allowed |= {("redis-operator", name, 6379), ("prometheus", name, 9121)}
    return allowed


def test_the_picture_says_who_has_which_store():
    """If this fails the picture has changed; then the policies and the words above have to follow."""
    assert {(one, other) for one, other, _ in drawn()} >= {("edge", "rabbitmq"), ("cart", "redis-carts")}
    assert len(drawn()) == 1 + 5 + 4 + 1 + 1


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_everybody_reaches_whom_the_architecture_says_and_nobody_else(overlay, rendered):
    manifests = rendered[overlay]
    policies = Policies(manifests.of("NetworkPolicy").values())
    ours = parties_of(manifests, overlay)
    outside = [GATEWAY, PROMETHEUS, ELASTIC, STRANGER, INTERNET, METADATA, *OPERATORS]

    allowed = {
        (source.name, target.name, port)
        for source in [*ours, *outside]
        for target in [*ours, *outside]
        for port in PORTS
        if (source.is_ours or target.is_ours) and policies.allow(source, target, port)
    }

    if overlay == "prod":  # what keeps PostgreSQL speaks with Kubernetes and with an object store, wherever these are
        allowed = {each for each in allowed if not (each[0] == "postgres" and each[2] == 443)}
    assert allowed == expected(overlay)


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_either_end_alone_allows_no_more(overlay, rendered):
    """What one end allows and the other forbids is a mistake that waits for the other one."""
    manifests = rendered[overlay]
    policies = Policies(manifests.of("NetworkPolicy").values())
    ours = parties_of(manifests, overlay)

    for ends_agree in (policies.lets_out, policies.lets_in):
        one_sided = {
            (source.name, target.name, port)
            for source in ours
            for target in ours
            for port in PORTS
            if ends_agree(source, target, port) and not policies.allow(source, target, port)
        }
        assert {each for each in one_sided if each[0] != "postgres" or each[2] != 443} == set()


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_everybody_may_ask_for_names(overlay, rendered):
    manifests = rendered[overlay]
    policies = Policies(manifests.of("NetworkPolicy").values())

    for pod in parties_of(manifests, overlay):
        assert policies.allow(pod, DNS, 53, "UDP"), pod
        assert not policies.allow(pod, DNS, 80), pod


def test_a_pod_that_nobody_thought_of_reaches_nothing_and_is_not_reached(prod):
    policies = Policies(prod.of("NetworkPolicy").values())
    new = Party("new", {"app.kubernetes.io/name": "new"})
    others = [*parties_of(prod, "prod"), GATEWAY, INTERNET]

    assert not [other.name for other in others for port in PORTS if policies.allow(new, other, port)]
    assert not [other.name for other in others for port in PORTS if policies.allow(other, new, port)]


def test_the_broker_s_policy_is_what_opens_it(prod):
    """The test above could also pass with policies that nobody reads: without this one nobody reaches the broker."""
    policies = Policies(each for name, each in prod.of("NetworkPolicy").items() if name != "rabbitmq")
    parties = {party.name: party for party in parties_of(prod, "prod")}

    assert not policies.allow(parties["edge"], parties["rabbitmq"], 5672)
