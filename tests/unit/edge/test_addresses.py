import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.addresses import Networks, Proxies, network_of, plain


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("192.0.2.300", "unknown"),
    ],
)
def test_an_ipv6_customer_is_a_network_not_an_address(address, network):
    assert network_of(address) == network


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=3), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_set_of_networks_holds_what_one_of_them_holds(firsts, length, address):
    networks = [ipaddress.ip_network(f"{first}/{length}", strict=False) for first in firsts]

    held = str(address) in Networks(map(str, networks))

    assert held == any(address in network for network in networks)


@given(st.integers(0, 128), st.ip_addresses(v=6), st.ip_addresses(v=6))
def test_an_ipv6_network_holds_its_own_and_no_other(length, first, address):
    network = ipaddress.ip_network(f"{first}/{length}", strict=False)
    assume_is_six = address.ipv4_mapped is None and first.ipv4_mapped is None

    assert not assume_is_six or (str(address) in Networks([str(network)])) == (address in network)


@pytest.mark.parametrize("listed", ["192.0.2.0/24", "::ffff:192.0.2.0/120"])
@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"])
def test_an_ipv4_address_is_the_same_however_it_is_written(listed, address):
    assert address in Networks([listed])
    assert "::ffff:192.0.3.7" not in Networks([listed])


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "everybody", ""])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits"):
        Networks([text])


def client(peer, *forwarded, trusted=("10.0.0.0/8", "2001:db8:ffff::/48")):
    return Proxies(Networks(trusted)).client(peer, forwarded)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("2001:db8:ffff::1", ["2001:DB8:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
    ],
)
def test_a_client_is_the_last_address_that_no_trusted_proxy_has(peer, forwarded, expected):
    assert client(peer, *forwarded) == expected


@given(st.lists(st.text(max_size=20), max_size=5))
def test_whatever_an_untrusted_peer_forwards_changes_nothing(forwarded):
    assert client("192.0.2.7", *forwarded) == "192.0.2.7"


def test_an_address_has_one_spelling():
    assert plain("2001:DB8:0:0::1") == "2001:db8::1"
