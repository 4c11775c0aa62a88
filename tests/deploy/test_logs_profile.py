"""Elasticsearch, Kibana, their set-up and the shipper as containers: in order, encrypted, each with its own rights."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from kirana.container_certificates import draw
from shipper.settings import read_settings as read_shipper_settings
from shipper.setup.elasticsearch import SHIPPER
from shipper.setup.settings import read_settings as read_setup_settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = {name: service for name, service in COMPOSE["services"].items() if service.get("profiles") == ["logs"]}
WITH_SPOOL = {"edge", "identity", "catalog", "cart", "order", "notification", "shipper"}


def waits_for(name):
    return {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}


def mounted_secrets(name):
    """By path inside the container."""
    for secret in SERVICES[name]["secrets"]:
        source = secret if isinstance(secret, str) else secret["source"]
        target = f"/run/secrets/{source}" if isinstance(secret, str) else secret["target"]
        yield target, COMPOSE["secrets"][source]["file"]


def test_the_profile_is_whole():
    assert set(SERVICES) == {"elasticsearch", "elastic-setup", "shipper", "kibana", "kibana-setup"}


def test_elasticsearch_kibana_and_the_client_are_of_one_kind():
    tags = {name: SERVICES[name]["image"].rpartition(":")[2] for name in ("elasticsearch", "kibana")}

    assert tags["elasticsearch"] == tags["kibana"]
    assert tags["kibana"].partition(".")[0] == version("elasticsearch").partition(".")[0]
    assert tuple(map(int, tags["kibana"].split("."))) >= (9, 5), "older ones do not take the dashboard as it is written"


def test_no_line_comes_before_its_fields_and_nobody_looks_before_there_is_something():
    done, well = "service_completed_successfully", "service_healthy"

    assert waits_for("elastic-setup") == {"elasticsearch": well}
    assert waits_for("kibana") == {"elastic-setup": done}
    assert waits_for("shipper") == {"elastic-setup": done, "kibana-setup": done}
    assert waits_for("kibana-setup") == {"kibana": well}


def test_somebody_waits_for_every_job_or_compose_would_take_its_end_for_a_failure():
    jobs = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    awaited = {
        other
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }

    assert jobs == awaited == {"elastic-setup", "kibana-setup"}


def test_elasticsearch_is_for_the_containers_of_the_logs_alone():
    assert COMPOSE["networks"]["logs"]["internal"] is True
    assert SERVICES["elasticsearch"]["networks"] == ["logs"]
    assert "ports" not in SERVICES["elasticsearch"]
    assert {name for name, service in COMPOSE["services"].items() if "logs" in service.get("networks", [])} == {
        *SERVICES
    }


def test_who_speaks_to_elasticsearch_does_so_encrypted_and_knows_its_authority():
    assert SERVICES["elasticsearch"]["environment"]["xpack.security.http.ssl.enabled"] == "true"
    for name in ("elastic-setup", "kibana-setup", "shipper"):
        environment = SERVICES[name]["environment"]
        assert environment["KIRANA_ELASTICSEARCH_URL"].startswith("https://elasticsearch:")
        assert environment["KIRANA_ELASTICSEARCH_CA"] in dict(mounted_secrets(name))
    kibana = yaml.safe_load((ROOT / "logging" / "kibana" / "kibana.yml").read_text())
    assert kibana["elasticsearch.hosts"] == ["https://elasticsearch:9200"]
    assert set(kibana["elasticsearch.ssl.certificateAuthorities"]) <= set(dict(mounted_secrets("kibana")))


def test_only_the_set_up_has_the_administrators_password():
    holders = {name for name in SERVICES if "/run/secrets/elastic_password" in dict(mounted_secrets(name))}

    assert holders == {"elasticsearch", "elastic-setup", "kibana-setup"}
    assert SERVICES["shipper"]["environment"]["KIRANA_ELASTICSEARCH_USER"] == SHIPPER


def environment_of(name, tmp_path):
    """As the container has it, with its secrets and folders where a test can put them."""
    environment = {}
    for key, value in SERVICES[name]["environment"].items():
        text = re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", str(value))
        if text.startswith("/run/secrets/"):
            assert text in dict(mounted_secrets(name)), key
            place = tmp_path / text.rpartition("/")[2]
            place.write_text(f"the content of {place.name}")
            text = str(place)
        environment[key] = text.replace("/etc/kirana/logging", str(ROOT / "logging"))
    return environment


def test_the_programs_understand_the_settings_that_they_are_given(tmp_path):
    for name in ("elastic-setup", "kibana-setup"):
        setup = read_setup_settings(environment_of(name, tmp_path))
        assert (setup.admin_password, setup.shipper_password, setup.kibana_password) == (
            "the content of elastic_password",
            "the content of shipper_password",
            "the content of kibana_password",
        )
    shipper = read_shipper_settings(environment_of("shipper", tmp_path))
    assert (shipper.destination.user, shipper.destination.password) == (SHIPPER, "the content of shipper_password")
    assert str(shipper.spool) == "/var/spool/kirana"


def test_whoever_writes_lines_writes_them_where_the_shipper_reads():
    for name in WITH_SPOOL:
        service = COMPOSE["services"][name]
        assert "spool:/var/spool/kirana" in service["volumes"], name
        assert service["environment"]["KIRANA_LOG_SPOOL"].endswith("/var/spool/kirana}"), name
    for dockerfile in ("edge", "service"):
        text = (ROOT / "docker" / f"{dockerfile}.Dockerfile").read_text()
        assert re.search(r"install -d -o 10001 .*/var/spool/kirana", text), "a volume takes its owner from the image"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("elasticsearch", {"ELASTIC_PASSWORD": "elastic_password"}),
        ("kibana", {"KIRANA_KIBANA_PASSWORD": "kibana_password", "KIRANA_KIBANA_KEY": "kibana_key"}),
    ],
    ids=["elasticsearch", "kibana"],
)
def test_a_server_gets_its_secrets_from_files_and_has_none_among_its_arguments(name, wanted, tmp_path):
    for secret in wanted.values():
        (tmp_path / secret).write_text(f"the content of {secret}\n")
        assert f"/run/secrets/{secret}" in dict(mounted_secrets(name))
    shell, flag, script = SERVICES[name]["entrypoint"]
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    script, replaced = re.subn(r"exec /bin/tini -- .*", "exec env", script)

    told = subprocess.run([shell, flag, script], capture_output=True, text=True, check=True).stdout.splitlines()

    assert replaced == 1
    assert {f"{variable}=the content of {secret}" for variable, secret in wanted.items()} <= set(told)


def test_without_its_secret_a_server_does_not_start(tmp_path):
    shell, flag, script = SERVICES["elasticsearch"]["entrypoint"]
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path)).replace("exec /bin/tini", "echo started")

    done = subprocess.run([shell, flag, script], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "started" not in done.stdout


def test_kibana_names_only_values_that_its_start_provides():
    text = (ROOT / "logging" / "kibana" / "kibana.yml").read_text()
    script = SERVICES["kibana"]["entrypoint"][2]

    wanted = set(re.findall(r"\$\{(\w+)\}", text))

    assert wanted
    assert all(f"export {name}" in script for name in wanted)


def test_a_drawn_certificate_is_for_its_server_alone_and_lasts_until_it_can_be_renewed():
    drawn = draw("elasticsearch", "localhost")
    authority = x509.load_pem_x509_certificate(drawn.authority.encode())
    certificate = x509.load_pem_x509_certificate(drawn.certificate.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    basic = x509.BasicConstraints

    certificate.verify_directly_issued_by(authority)
    assert names.get_values_for_type(x509.DNSName) == ["elasticsearch", "localhost"]
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=700)
    assert authority.extensions.get_extension_for_class(basic).value.ca is True
    assert certificate.extensions.get_extension_for_class(basic).value.ca is False
    assert "PRIVATE" not in repr(drawn)
