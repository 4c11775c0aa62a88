from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from shared.metrics import families
from shared.metrics.rendering import rendered, together
from shared.metrics.state import Just, Seen, counted, sized


def told(worker, in_flight, retries=0):
    source = Just(
        counted(families.IN_FLIGHT, Seen(("catalog", "caller"), in_flight)),
        counted(families.RETRIES, Seen((), retries)),
    )
    return "".join(rendered([source], {"worker": worker}))


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_workers_together_keep_their_own_series_under_one_head():
    whole = together([told("0-0", 3), told("1-0", 4)])

    assert whole.count("# TYPE kirana_rpc_in_flight gauge") == 1
    assert samples(whole) == samples(told("0-0", 3)) | samples(told("1-0", 4))


def test_every_family_ends_before_the_next_begins():
    heads = [line for line in together([told("0-0", 3), told("1-0", 4)]).splitlines() if line.startswith("# TYPE")]

    assert heads == ["# TYPE kirana_rpc_in_flight gauge", "# TYPE kirana_rpc_retries_total counter"]


def test_a_worker_that_told_nothing_takes_nothing_from_the_others():
    assert together(["", told("1-0", 4)]) == told("1-0", 4)


def test_a_family_without_series_is_not_told():
    assert list(rendered([Just(counted(families.OUTBOX_OLDEST))])) == []


def test_a_histogram_of_sizes_counts_each_in_every_bucket_that_holds_it():
    sizes = Counter({1: 10, 3: 2, 200: 1, 256: 1, 1000: 1})

    text = "".join(rendered([Just(sized(families.BATCH_SIZE, [(("catalog", "request"), sizes)]))]))

    found = samples(text)
    of = (("frame", "request"), ("service", "catalog"))
    counted_up_to = {
        le: found["kirana_rpc_batch_size_bucket", of[0], ("le", le), of[1]] for le in ("1", "2", "4", "128", "256")
    }
    assert counted_up_to == {"1": 10, "2": 10, "4": 12, "128": 12, "256": 14}
    assert found["kirana_rpc_batch_size_bucket", of[0], ("le", "+Inf"), of[1]] == 15
    assert found["kirana_rpc_batch_size_sum", *of] == 1472
    assert found["kirana_rpc_batch_size_count", *of] == 15
