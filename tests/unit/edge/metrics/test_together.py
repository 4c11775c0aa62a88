import asyncio
import os
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from edge.metrics.teller import Teller, worker_name
from edge.metrics.together import listener, told_by, workers_of
from edge.settings import Settings
from shared.metrics import families
from shared.metrics.settings import MetricsAddress
from shared.metrics.state import Just, Seen, counted

PORT = 1  # of no edge
NOBODY = 2**22 + 1  # no process has this id
SOURCE = Just(counted(families.RETRIES, Seen((), 7)))


def samples(texts):
    return {
        (sample.name, sample.labels.get("worker")): sample.value
        for family in text_string_to_metric_families("".join(texts))
        for sample in family.samples
    }


def asked(*pids, sources=(SOURCE,)):
    async def scenario():
        teller = Teller(sources, edge_port=PORT)
        await teller.open()
        try:
            return await asyncio.to_thread(lambda: samples(told_by(PORT, pids)))
        finally:
            await teller.close()

    return asyncio.run(scenario())


def test_what_a_worker_knows_is_told_under_its_name():
    assert asked(os.getpid()) == {("kirana_rpc_retries_total", "0-0"): 7, ("kirana_edge_silent_workers", None): 0}


def test_a_worker_that_is_gone_is_counted_and_the_others_are_told():
    found = asked(NOBODY, os.getpid())

    assert found["kirana_edge_silent_workers", None] == 1
    assert found["kirana_rpc_retries_total", "0-0"] == 7


def test_a_worker_of_another_edge_on_this_machine_is_not_asked():
    assert samples(told_by(PORT + 1, [os.getpid()])) == {("kirana_edge_silent_workers", None): 1}


def test_a_worker_whose_door_is_taken_serves_without_telling():
    async def scenario():
        first, second = Teller([SOURCE], edge_port=PORT), Teller([SOURCE], edge_port=PORT)
        await first.open()
        await second.open()
        await second.close()
        await first.close()

    asyncio.run(scenario())


def test_a_fault_of_a_source_ends_that_scrape_and_no_other():
    broken = SimpleNamespace(collect=lambda: 1 / 0)

    assert asked(os.getpid(), sources=(broken,))["kirana_edge_silent_workers", None] == 1


def test_a_replaced_worker_has_the_name_of_its_predecessor(monkeypatch):
    monkeypatch.setenv("SANIC_WORKER_NAME", "Sanic-Server-1-0")

    assert worker_name() == "1-0"


def test_workers_that_have_ended_or_not_begun_are_not_asked():
    kept = [SimpleNamespace(pid=5, exitcode=None), SimpleNamespace(pid=6, exitcode=-9), SimpleNamespace(pid=None)]

    assert workers_of(SimpleNamespace(transient_processes=kept)) == [5]


def test_without_a_port_nobody_listens():
    settings = Settings(amqp_url="amqp://", redis_url="redis://", cursor_secret="s" * 32)

    assert settings.metrics == MetricsAddress(port=None)
    assert listener(settings, list) is None
