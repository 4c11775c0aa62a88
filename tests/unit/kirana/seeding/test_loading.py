import msgspec
import pytest

from kirana.seeding import loading
from kirana.seeding.loading import BATCH_BYTES, BATCH_ROWS, MAX_ATTEMPTS, load_rows
from shared.contracts.catalog import BadRow, Loaded, StockConflict
from shared.contracts.refusals import OutcomeUnknown


class FakeCalls:
    def __init__(self, *failures):
        self.failures = list(failures)
        self.batches = []
        self.bytes = []
        self.operations = []

    def call(self, _method, request, *, operation_id, timeout):
        assert timeout > 0
        self.operations.append(operation_id)
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        self.batches.append(len(request.rows))
        self.bytes.append(len(msgspec.json.encode(request)))
        bad = [BadRow(index=0, sku="x", reason="bad")] if not self.batches[1:] else []
        return Loaded(inserted=len(request.rows) - len(bad), updated=0, unchanged=0, bad=bad)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(loading.time, "sleep", lambda _: None)


def rows(count):
    return ({"sku": str(number)} for number in range(count))


def test_rows_travel_in_batches_and_progress_counts_them():
    calls, progress = FakeCalls(), []

    report = load_rows(rows(2 * BATCH_ROWS + 5), calls, progress.append)

    assert calls.batches == [BATCH_ROWS, BATCH_ROWS, 5]
    assert sum(progress) == 2 * BATCH_ROWS + 5
    assert (report.inserted, report.bad_count) == (2 * BATCH_ROWS + 4, 1)


def test_no_batch_is_larger_than_one_message_may_be():
    calls = FakeCalls()

    load_rows(({"sku": str(number), "description": "\u0915" * 2500} for number in range(BATCH_ROWS)), calls)

    assert sum(calls.batches) == BATCH_ROWS
    assert max(calls.bytes) < 4 * 2**20
    assert 1 < len(calls.batches) < 8


def test_a_row_that_is_too_large_by_itself_goes_alone():
    calls = FakeCalls()

    load_rows([{"sku": "1"}, {"sku": "x" * BATCH_BYTES}, {"sku": "2"}], calls)

    assert calls.batches == [1, 1, 1]


def test_a_batch_whose_answer_was_lost_is_sent_again_as_the_same_operation():
    calls = FakeCalls(OutcomeUnknown())

    load_rows(rows(3), calls)

    assert len(calls.operations) == 2
    assert len(set(calls.operations)) == 1


def test_each_batch_is_an_operation_of_its_own():
    calls = FakeCalls()

    load_rows(rows(BATCH_ROWS + 1), calls)

    assert len(set(calls.operations)) == 2


def test_it_gives_up_after_a_few_attempts():
    calls = FakeCalls(*[OutcomeUnknown() for _ in range(MAX_ATTEMPTS)])

    with pytest.raises(OutcomeUnknown):
        load_rows(rows(1), calls)


def test_a_refusal_is_not_tried_again():
    calls = FakeCalls(StockConflict())

    with pytest.raises(StockConflict):
        load_rows(rows(1), calls)

    assert len(calls.operations) == 1
