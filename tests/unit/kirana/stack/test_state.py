import json
import stat

import pytest

from kirana.stack.bring_up import describe
from kirana.stack.faults import NotRunning
from kirana.stack.home import Home
from kirana.stack.overview import as_json
from kirana.stack.passwords import passwords
from kirana.stack.ports import PREFERRED, choose
from kirana.stack.programs import Wishes, amqp_url, metered, our_programs, service_environment
from kirana.stack.state import load, save
from kirana.stack.supervision import Seen


def a_state(tmp_path, *, with_consul=True):
    return describe(Home(tmp_path), PREFERRED, passwords(tmp_path), with_consul=with_consul)


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = a_state(tmp_path)

    save(state)

    assert load(tmp_path) == state
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


def test_a_folder_without_a_stack_says_how_to_get_one(tmp_path):
    with pytest.raises(NotRunning) as caught:
        load(tmp_path)

    assert caught.value.mend == "kirana up"


def test_scripts_find_the_documented_keys(tmp_path):
    found = as_json(a_state(tmp_path, with_consul=False), [Seen("edge", 7, "RUNNING", 2)])

    assert set(found) == {
        "edge", "admin", "rabbitmq", "redis_carts", "redis_edge", "postgres", "consul", "smtp", "metrics", "home",
        "processes",
    }  # fmt: skip
    assert found["consul"] is None
    assert found["processes"] == [{"name": "edge", "pid": 7, "state": "RUNNING", "restarts": 2}]
    assert set(found["postgres"]) == {"identity", "catalog", "order", "notification"}
    assert isinstance(found["redis_carts"], list)


def test_each_process_kind_logs_in_to_the_broker_as_itself(tmp_path):
    secret = passwords(tmp_path)

    urls = {user: amqp_url(user, a_state(tmp_path), secret) for user in ("edge", "order")}

    assert urls["order"] == f"amqp://order:{secret['amqp.order']}@127.0.0.1:5672/kirana"
    assert urls["edge"] != urls["order"]


def test_a_service_gets_only_its_own_database(tmp_path):
    environment = service_environment("order", a_state(tmp_path), passwords(tmp_path))

    assert environment["KIRANA_DATABASE_URL"].endswith("/kirana_order")
    assert "KIRANA_DATABASE_URL" not in service_environment("cart", a_state(tmp_path), passwords(tmp_path))
    assert "KIRANA_KEY_PASSPHRASE" not in environment


def test_scaling_a_service_names_each_instance(tmp_path):
    programs = our_programs(a_state(tmp_path), passwords(tmp_path), Wishes(scale={"catalog": 3}), edge_port=1)

    names = [program.name for program in programs]

    assert [name for name in names if name.startswith("catalog")] == ["catalog-1", "catalog-2", "catalog-3"]
    assert names[0] == "mail-sink"
    assert names[-1] == "edge"


def test_an_operator_may_tune_the_stack_from_the_shell(tmp_path, monkeypatch):
    state, secret = a_state(tmp_path), passwords(tmp_path)
    assert service_environment("identity", state, secret)["KIRANA_LOGIN_THROTTLE_SCALE"] == "1000"

    monkeypatch.setenv("KIRANA_LOGIN_THROTTLE_SCALE", "1")

    assert service_environment("identity", state, secret)["KIRANA_LOGIN_THROTTLE_SCALE"] == "1"


def test_each_of_our_processes_is_given_the_port_that_its_metrics_are_shown_under(tmp_path):
    chosen = choose(tmp_path, running=False, programs=metered({"cart": 2}), free=lambda _: True)
    state = describe(Home(tmp_path), chosen, passwords(tmp_path), with_consul=False)

    programs = our_programs(state, passwords(tmp_path), Wishes(scale={"cart": 2}), edge_port=1)

    told = {each.name: each.environment.get("KIRANA_METRICS_PORT") for each in programs}
    assert told.pop("mail-sink") is None
    assert {name: f"http://127.0.0.1:{port}/metrics" for name, port in told.items()} == state.metrics
    assert len(set(told.values())) == 7


def test_a_stack_that_was_started_before_metrics_is_still_known(tmp_path):
    save(a_state(tmp_path))
    path = tmp_path / "stack.json"
    older = json.loads(path.read_text())
    del older["metrics"]
    path.write_text(json.dumps(older))

    assert load(tmp_path).metrics == {}
