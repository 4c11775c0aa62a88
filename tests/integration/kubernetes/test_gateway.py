"""The gateway lets clients through to what is for them, and to nothing else."""

import pytest

from tests.builders.operators import FOR_OPERATORS, ROUTES, is_for_operators


def lets_through(prod, path):
    (rule,) = prod.one("HTTPRoute", "shop")["spec"]["rules"]
    for match in rule["matches"]:
        kind, value = match["path"]["type"], match["path"]["value"]
        if path == value or (kind == "PathPrefix" and path.startswith(f"{value}/")):
            return True
    return False


@pytest.mark.parametrize("path", sorted({route["path"] for route in ROUTES}))
def test_a_path_is_open_unless_it_is_for_operators(path, prod):
    assert lets_through(prod, path) is not is_for_operators(path)


@pytest.mark.parametrize("path", [*FOR_OPERATORS, "/", "/apis", "/adminx"])
def test_what_the_edge_does_not_have_stays_outside(path, prod):
    assert not lets_through(prod, path)


def test_what_comes_without_tls_is_sent_to_tls_and_nowhere_else(prod):
    listeners = {each["name"]: each for each in prod.one("Gateway", "shop")["spec"]["listeners"]}
    plain = prod.one("HTTPRoute", "to-https")["spec"]

    assert listeners["https"]["tls"]["mode"] == "Terminate"
    assert plain["parentRefs"] == [{"name": "shop", "sectionName": "http"}]
    assert [set(rule) for rule in plain["rules"]] == [{"filters"}]
    assert prod.one("HTTPRoute", "shop")["spec"]["parentRefs"] == [{"name": "shop", "sectionName": "https"}]


def test_it_leads_to_the_service_of_the_edge(prod):
    (rule,) = prod.one("HTTPRoute", "shop")["spec"]["rules"]
    (target,) = rule["backendRefs"]
    service = prod.one("Service", target["name"])["spec"]

    assert target["port"] in {port["port"] for port in service["ports"]}
    assert service["selector"] == prod.one("Deployment", "edge")["spec"]["selector"]["matchLabels"]
    (port,) = {port["targetPort"] for port in service["ports"]}
    (container,) = prod.pod("edge")["containers"]
    assert port in {each["name"] for each in container["ports"]}


def test_the_shop_is_told_the_address_that_clients_use(prod):
    (host,) = prod.one("HTTPRoute", "shop")["spec"]["hostnames"]

    assert prod.environment("edge")["KIRANA_JWT_ISSUER"] == f"https://{host}"
    assert prod.environment("edge")["KIRANA_TRUSTED_PROXIES"]
