"""Tunnels last: they have places of their own at an instance, and no caller has all of those."""

from contextlib import suppress

from edge.discovery.table import Instance, InstanceTable
from edge.rpc.failures import NotExecuted
from edge.upstreams.policy import HttpPolicy
from edge.upstreams.upstreams import Upstreams

MOST = 8


def ways(*, instances=1):
    table = InstanceTable()
    table.replace("things", tuple(Instance(f"{n}", "things", "127.0.0.1", 1) for n in range(instances)))
    upstreams = Upstreams(table)
    live = upstreams.way("live", HttpPolicy(service="things", connections=MOST, websocket=True))
    return live, upstreams.way("pass", HttpPolicy(service="things", connections=MOST))


GUESTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")


def pick(way, holder=None):
    return way.pick(key=b"", named=None, stays=b"", holder=holder)


def as_many_as_possible(way, holder=None):
    leases = []
    with suppress(NotExecuted):
        while len(leases) <= 2 * MOST:
            leases.append(pick(way, holder))
    return leases


def test_as_many_tunnels_as_there_may_be_take_no_place_of_a_request():
    live, plain = ways()

    tunnels = [lease for guest in GUESTS for lease in as_many_as_possible(live, guest)]
    requests = as_many_as_possible(plain)

    assert len(tunnels) == len(requests) == MOST
    assert live.service.figures()["in_flight"] == 2 * MOST


def test_requests_take_no_place_of_a_tunnel():
    live, plain = ways()
    requests = as_many_as_possible(plain)

    assert pick(live, "ann").member is requests[0].member


def test_no_caller_has_more_than_a_quarter_of_the_places_for_tunnels():
    live, _ = ways()

    held = {caller: as_many_as_possible(live, caller) for caller in ("ann", "bob", "eve", "joe", "zoe")}

    assert [len(leases) for leases in held.values()] == [2, 2, 2, 2, 0]


def test_a_place_that_is_given_back_is_the_next_ones_whoever_that_is():
    live, _ = ways()
    held = as_many_as_possible(live, "ann")
    others = [lease for guest in GUESTS[:3] for lease in as_many_as_possible(live, guest)]

    held[0].release()
    held[0].release()
    assert pick(live, "bob")
    others.clear()

    (member,) = live.service.members()
    assert (member.outstanding, member.tunnels, dict(member.held)) == (1, 1, {"ann": 1})


def test_whoever_keeps_many_tunnels_gets_fewer_requests():
    live, plain = ways(instances=2)
    tunnel = pick(live, "ann")

    request = pick(plain)

    assert request.member is not tunnel.member
