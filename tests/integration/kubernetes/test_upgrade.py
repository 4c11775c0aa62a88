"""What is applied before a new version of the rest: alone it has all it needs, and it is what the release brings."""

import json
import re

from kirana.broker_definitions import main
from tests.builders.manifests import ROOT
from tests.builders.reach import Party, Policies

JOB = "broker-definitions"
BROKER = Party("rabbitmq", {"kirana/store": "rabbitmq"})


def test_the_broker_is_given_the_file_of_this_release(upgrade, dev):
    for manifests in (upgrade, dev):
        (name,) = (each["configMap"]["name"] for each in manifests.pod(JOB)["volumes"] if "configMap" in each)
        (text,) = manifests.one("ConfigMap", JOB)["data"].values()
        assert manifests.one("ConfigMap", JOB)["metadata"]["name"] == name
        assert json.loads(text) == json.loads((ROOT / "rabbitmq" / "definitions.json").read_text())


def test_the_job_starts_with_what_it_is_told(upgrade, tmp_path, capsys):
    told = upgrade.environment(JOB)
    (container,) = upgrade.pod(JOB)["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    (tmp_path / "definitions.json").write_text(next(iter(upgrade.one("ConfigMap", JOB)["data"].values())))
    (tmp_path / "operator_amqp_url").write_text("amqp://operator:word@rabbitmq:5672/kirana")
    placed = {
        key: str(tmp_path / value.rpartition("/")[2]) if value.startswith("/") else value for key, value in told.items()
    }

    status = main(placed | {"KIRANA_MANAGEMENT_URL": "http://127.0.0.1:1"}, patience=0)

    assert (status, "does not answer" in capsys.readouterr().err) == (75, True)
    assert container["command"] == ["python3", "-m", "kirana.broker_definitions"]
    assert {value.rpartition("/")[0] for value in told.values() if value.startswith("/")} <= mounts
    assert told["KIRANA_AMQP_URL_FILE"] in upgrade.files(JOB)
    assert told["KIRANA_MANAGEMENT_URL"] == "http://rabbitmq:15672"


def test_what_asking_again_would_not_help_ends_the_job_and_its_pod_stays_to_tell_why(rendered):
    for name in ("dev", "prod migrations"):
        job = rendered[name].one("Job", JOB)["spec"]
        (container,) = job["template"]["spec"]["containers"]
        (rule,) = job["podFailurePolicy"]["rules"]

        assert rule["action"] == "FailJob"
        assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [1, 78]}
        assert job["template"]["spec"]["restartPolicy"] == "Never"
        assert job["backoffLimit"] > 1  # a broker that does not answer yet is asked again


def test_a_migration_is_tried_until_its_database_has_come(upgrade):
    for name, job in upgrade.of("Job").items():
        if name != JOB:
            assert "podFailurePolicy" not in job["spec"]
            assert job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_it_reaches_the_broker_before_the_policies_of_the_rest_are_there_and_after(upgrade, prod):
    own, rest = ([*each.of("NetworkPolicy").values()] for each in (upgrade, prod))
    labels = next(labels for name, labels, _ in upgrade.pods() if name == JOB)

    for policies in (Policies(own), Policies([*rest, *own])):
        assert policies.allow(Party(JOB, labels), BROKER, 15672)
        assert not policies.allow(Party(JOB, labels), Party("postgres", {"kirana/store": "postgres"}), 5432)


def test_the_words_of_the_upgrade_name_every_job(upgrade):
    """What docs/operations.md deletes before and waits for."""
    told = set(
        re.findall(r"app\.kubernetes\.io/component in \(([a-z, ]+)\)", (ROOT / "docs/operations.md").read_text())
    )

    assert told == {"migration, definitions"}
    assert {labels["app.kubernetes.io/component"] for _, labels, _ in upgrade.pods()} == {"migration", "definitions"}
