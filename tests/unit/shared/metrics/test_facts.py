from prometheus_client import CollectorRegistry

from shared.metrics.facts import Build, ConsulLink
from shared.metrics.rendering import rendered
from shared.release import VERSION


def told(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return [line for text in rendered([registry]) for line in text.splitlines() if not line.startswith("#")]


def test_a_process_tells_which_release_it_runs():
    assert told(Build()) == [f'kirana_build_info{{version="{VERSION}"}} 1.0']


def test_of_consul_nothing_is_claimed_before_the_first_sign_of_life():
    link = ConsulLink()
    before = told(link)
    link.hears = True
    heard = told(link)
    link.hears = False

    assert (before, heard, told(link)) == ([], ["kirana_consul_connected 1.0"], ["kirana_consul_connected 0.0"])
