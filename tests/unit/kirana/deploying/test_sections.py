from kirana.deploying.sections import Configuration
from kirana.stack.home import Home
from kirana.stack.programs import Program
from kirana.stack.supervisor_conf import render

STRANGE = {"KIRANA_A": "100 %, or so", "KIRANA_B": 'it says "so"', "KIRANA_C": "amqp://u:p@h:1/v"}


def a_configuration(tmp_path):
    programs = [Program(name, ("run", name), STRANGE) for name in ("catalog-1", "catalog-2", "catalog-canary", "edge")]
    return render(Home(tmp_path), programs)


def test_taken_apart_and_put_together_it_is_letter_by_letter_as_before(tmp_path):
    text = a_configuration(tmp_path)

    assert Configuration.read(text).text == text


def test_changed_variables_change_nothing_else(tmp_path):
    text = a_configuration(tmp_path)
    edge = Configuration.read(text).named("edge")

    changed = edge.with_environment({"KIRANA_B": None, "PYTHONPATH": "/r"})

    assert edge.environment.items() >= STRANGE.items()
    assert changed.environment == {name: value for name, value in edge.environment.items() if name != "KIRANA_B"} | {
        "PYTHONPATH": "/r"
    }
    assert changed.with_environment({"KIRANA_B": STRANGE["KIRANA_B"], "PYTHONPATH": None}) == edge


def test_a_canary_has_a_name_and_a_log_of_its_own(tmp_path):
    configuration = Configuration.read(a_configuration(tmp_path))

    canary = configuration.named("edge").renamed("edge-canary")

    assert "[program:edge-canary]\n" in canary.text
    assert "/log/edge-canary.log\n" in canary.text
    assert configuration.having(canary).without("edge-canary") == configuration


def test_the_instances_of_a_service_are_its_numbered_programs(tmp_path):
    configuration = Configuration.read(a_configuration(tmp_path))

    assert [section.name for section in configuration.instances("catalog")] == ["catalog-1", "catalog-2"]
    assert [section.name for section in configuration.instances("edge")] == ["edge"]
