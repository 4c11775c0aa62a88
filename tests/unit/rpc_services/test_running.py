from pathlib import Path

import kombu.pools
import pytest
from nameko import config

from rpc_services.migrating import run_migrations
from rpc_services.running import EX_USAGE, configure_nameko, main, read_process_settings
from shared.settings.reader import BadSettings

NEEDED = {"KIRANA_AMQP_URL": "amqp://user:secret@127.0.0.1:5672/kirana"}


def test_defaults_are_those_of_the_handbook():
    settings = read_process_settings("order", NEEDED)

    assert settings.max_workers == 64
    assert settings.instance.startswith("order-")
    assert settings.consul.url == ""
    assert settings.log_spool is None


@pytest.fixture
def _configuration_of_others():
    """Nameko's and kombu's are the process's: what is set here must end here."""
    limit = kombu.pools.get_limit()
    with config.patch({}, clear=True):
        yield
    kombu.pools.set_limit(limit)


@pytest.mark.usefixtures("_configuration_of_others")
def test_as_many_messages_are_taken_in_advance_as_there_are_workers():
    configure_nameko(read_process_settings("order", {**NEEDED, "KIRANA_MAX_WORKERS": "37"}))

    assert (config["max_workers"], config["PREFETCH_COUNT"]) == (37, 37)


def test_all_faults_are_told_at_once():
    with pytest.raises(BadSettings) as refused:
        read_process_settings("order", {"KIRANA_MAX_WORKERS": "0"})

    assert len(refused.value.faults) == 2


def test_settings_keep_the_brokers_password_to_themselves():
    settings = read_process_settings("order", {**NEEDED, "KIRANA_LOG_SPOOL": "/var/spool"})

    assert settings.log_spool == Path("/var/spool")
    assert "secret" not in repr(settings)


def test_an_unknown_service_is_a_usage_fault(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["payroll"])

    assert exit_.value.code == EX_USAGE
    assert "usage:" in capsys.readouterr().err


def test_a_service_without_migrations_has_nothing_to_migrate():
    run_migrations("cart", {})
