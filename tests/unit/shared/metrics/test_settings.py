import pytest

from shared.metrics.settings import MetricsAddress, read_metrics_address
from shared.settings.reader import BadSettings, Reader


def address(**environment):
    reader = Reader(environment)
    found = read_metrics_address(reader)
    reader.finish()
    return found


def test_metrics_are_off_until_they_have_a_port():
    assert address().port is None
    assert address(KIRANA_METRICS_PORT="").port is None


def test_zero_asks_for_a_free_port():
    assert address(KIRANA_METRICS_PORT="0").port == 0


def test_nobody_outside_this_machine_can_ask_unless_an_operator_says_so():
    assert address(KIRANA_METRICS_PORT="9700") == MetricsAddress("127.0.0.1", 9700)
    assert address(KIRANA_METRICS_PORT="9700", KIRANA_METRICS_HOST="0.0.0.0").host == "0.0.0.0"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port_stops_the_process(port):
    with pytest.raises(BadSettings):
        address(KIRANA_METRICS_PORT=port)
