import socket
import threading

import pytest

from kirana.stack.ports import PREFERRED, choose, choosing_alone, is_free


def anything(_port):
    return True


def nothing(_port):
    return False


def test_preferred_ports_are_taken_when_they_are_free(tmp_path):
    assert choose(tmp_path, running=False, free=anything) == PREFERRED


def test_a_taken_port_is_replaced_by_one_outside_the_kernels_own_range(tmp_path):
    taken = set(PREFERRED.values())

    chosen = choose(tmp_path, running=False, free=lambda port: port not in taken)

    assert not taken & set(chosen.values())
    assert all(1024 < port < 32768 for port in chosen.values())
    assert len(set(chosen.values())) == len(PREFERRED)


def test_the_next_start_has_the_same_ports(tmp_path):
    first = choose(tmp_path, running=False, free=lambda port: port not in PREFERRED.values())

    assert choose(tmp_path, running=False, free=anything) == first


def test_a_running_stack_keeps_the_ports_that_it_occupies_itself(tmp_path):
    first = choose(tmp_path, running=False, free=anything)

    assert choose(tmp_path, running=True, free=nothing) == first


def test_a_port_that_somebody_took_meanwhile_is_replaced(tmp_path):
    choose(tmp_path, running=False, free=anything)

    assert choose(tmp_path, running=False, free=lambda port: port != 8000)["edge"] != 8000


def test_the_ports_of_another_stack_are_left_to_it_even_while_its_server_restarts(tmp_path):
    chosen = choose(tmp_path, running=False, reserved=[5672, 8000], free=anything)

    assert not {5672, 8000} & set(chosen.values())


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_with_a_listener_is_not_free(host):
    with socket.create_server((host, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_two_stacks_do_not_choose_at_the_same_time():
    inside = []

    def other():
        with choosing_alone():
            inside.append("other")

    with choosing_alone():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.3)
        inside.append("first")
    thread.join(5)

    assert inside == ["first", "other"]


def test_each_program_has_a_port_of_its_own_for_metrics(tmp_path):
    chosen = choose(tmp_path, running=False, programs=["edge", "cart-1"], free=anything)

    assert (chosen["metrics.edge"], chosen["metrics.cart-1"]) == (9700, 9701)
    assert len(set(chosen.values())) == len(PREFERRED) + 2


def test_an_instance_more_moves_no_other_ones_metrics(tmp_path):
    before = choose(tmp_path, running=True, programs=["edge", "cart-1", "order-1"], free=anything)

    after = choose(tmp_path, running=True, programs=["edge", "cart-1", "cart-2", "order-1"], free=anything)

    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)
