import pytest

from kirana.reached import find
from kirana.stack.faults import NotRunning


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Without a stack."""
    monkeypatch.setenv("KIRANA_HOME", str(tmp_path))
    return tmp_path


def test_a_shop_elsewhere_is_found_by_its_broker_though_there_is_no_stack_here(home):
    (home / "operator_amqp_url").write_text("amqp://operator:hush@rabbitmq/kirana\n")

    named = find({"KIRANA_AMQP_URL": "amqp://operator:hush@elsewhere/kirana"})
    by_file = find({"KIRANA_AMQP_URL_FILE": str(home / "operator_amqp_url")})

    assert (named.amqp, named.stack) == ("amqp://operator:hush@elsewhere/kirana", None)
    assert (by_file.amqp, by_file.stack) == ("amqp://operator:hush@rabbitmq/kirana", None)
    assert "KIRANA_AMQP_URL" in named.mend


def test_without_either_one_is_told_of_both():
    with pytest.raises(NotRunning) as told:
        find({})

    assert told.value.mend == "kirana up"
    assert "KIRANA_AMQP_URL" in told.value.cause
