import pytest

from kirana.parking.address import find
from kirana.stack.faults import StackFault


def test_the_environment_may_name_any_broker(tmp_path):
    (tmp_path / "secret").write_text("amqps://operator:hush@elsewhere/kirana\n")

    assert find({"KIRANA_AMQP_URL": "amqp://u:p@h/v"}).url == "amqp://u:p@h/v"
    assert find({"KIRANA_AMQP_URL_FILE": str(tmp_path / "secret")}).url == "amqps://operator:hush@elsewhere/kirana"


@pytest.mark.parametrize("environment", [{"KIRANA_AMQP_URL": "http://h"}, {"KIRANA_AMQP_URL_FILE": "/nowhere/at/all"}])
def test_an_address_that_is_none_is_refused_by_the_name_of_its_setting(environment):
    with pytest.raises(StackFault, match="KIRANA_AMQP_URL"):
        find(environment)
