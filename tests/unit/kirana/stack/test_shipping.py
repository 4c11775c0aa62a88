from kirana.stack.bring_up import describe
from kirana.stack.home import Home
from kirana.stack.passwords import passwords
from kirana.stack.ports import choose
from kirana.stack.programs import Wishes, metered, our_programs

URL = "http://127.0.0.1:9200"


def programs(folder):
    chosen = choose(folder, running=False, programs=metered({}), free=lambda _: True)
    state = describe(Home(folder), chosen, passwords(folder), with_consul=False)
    return {each.name: each for each in our_programs(state, passwords(folder), Wishes(), edge_port=1)}, state


def test_without_an_elasticsearch_there_is_no_shipper(tmp_path, monkeypatch):
    monkeypatch.delenv("KIRANA_ELASTICSEARCH_URL", raising=False)

    assert "shipper-1" not in programs(tmp_path)[0]


def test_with_one_there_is_a_shipper_of_the_stacks_spool_with_metrics_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", URL)
    monkeypatch.setenv("KIRANA_SHIPPER_DISK_BYTES", "1000")

    found, state = programs(tmp_path)

    settings = found["shipper-1"].environment
    assert settings["KIRANA_ELASTICSEARCH_URL"] == URL
    assert settings["KIRANA_SHIPPER_DISK_BYTES"] == "1000"
    assert settings["KIRANA_LOG_SPOOL"] == str(state.spool)
    assert state.metrics["shipper-1"] == f"http://127.0.0.1:{settings['KIRANA_METRICS_PORT']}/metrics"
    assert [*found][-1] == "shipper-1", "started last, when all others write"
    assert found["shipper-1"].stop_seconds > int(settings.get("KIRANA_SHIPPER_DRAIN_SECONDS", "10"))


def test_the_address_of_elasticsearch_changes_no_other_program(tmp_path, monkeypatch):
    monkeypatch.delenv("KIRANA_ELASTICSEARCH_URL", raising=False)
    before = programs(tmp_path)[0]
    monkeypatch.setenv("KIRANA_ELASTICSEARCH_URL", URL)

    after = programs(tmp_path)[0]

    assert {name: each for name, each in after.items() if name != "shipper-1"} == before
