import pytest

from rpc_services.registration import note, verdict
from shared.contracts.method import Health


def a_report(**dependencies):
    return Health(service="demo", ok=set(dependencies.values()) == {"ok"}, dependencies=dependencies)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (a_report(broker="ok", database="ok"), "ttl_pass"),
        (a_report(broker="ok", database="OperationalError"), "ttl_warn"),
        (a_report(broker="ConnectionError", database="ok"), "ttl_fail"),
    ],
)
def test_only_a_service_that_no_call_can_reach_is_critical(report, expected):
    assert verdict(report) == expected


def test_the_note_names_every_dependency():
    assert note(a_report(database="ok", broker="ok")) == "broker: ok, database: ok"
