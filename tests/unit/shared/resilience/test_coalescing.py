import pytest

from shared.resilience.coalescing import (
    Closed,
    Coalescing,
    CoalescingPolicy,
    Effects,
    Expired,
    NeverLeft,
    Overloaded,
    Sending,
    Unanswered,
    Waiter,
)


def a_machine(*, batches: int = 1, batch_size: int = 10, room: int = 100) -> Coalescing:
    return Coalescing(CoalescingPolicy(batches=batches, batch_size=batch_size, room=room))


def arrive(machine: Coalescing, item: str, *, now: float = 0.0, **asked):
    """A caller for whom the driver's turn ends right after it came."""
    waiter = Waiter(item, seat=item, **asked)
    arrived = machine.arrive(waiter, now)
    departed = machine.depart(now)
    return waiter, Effects([*arrived.told, *departed.told], departed.leaving)


def items(batch) -> list[str]:
    return [errand.item for errand in batch.errands]


def outcomes(effects) -> dict[str, object]:
    return {told.waiter.seat: told.result if told.error is None else type(told.error) for told in effects.told}


def a_loaded_machine(*waiting: str, **policy):
    """One batch is away; ``waiting`` have gathered behind it."""
    machine = a_machine(**policy)
    _, effects = arrive(machine, "first")
    return machine, effects.leaving[0], [arrive(machine, item)[0] for item in waiting]


def test_when_idle_a_call_leaves_at_once_and_alone():
    _, effects = arrive(a_machine(), "a")

    assert [items(batch) for batch in effects.leaving] == [["a"]]


def test_callers_who_come_in_one_turn_leave_together():
    machine = a_machine()
    for item in ("a", "b", "c"):
        machine.arrive(Waiter(item, seat=item), 0.0)

    assert machine.is_due
    assert [items(batch) for batch in machine.depart(0.0).leaving] == [["a", "b", "c"]]
    assert not machine.is_due


def test_what_gathers_while_a_batch_is_away_leaves_together_in_order():
    machine, away, _ = a_loaded_machine("a", "b", "c")

    effects = machine.finished(away, 0.0)

    assert [items(batch) for batch in effects.leaving] == [["a", "b", "c"]]


def test_a_batch_takes_no_more_than_its_size():
    machine, away, _ = a_loaded_machine("a", "b", "c", batch_size=2)

    assert [items(batch) for batch in machine.finished(away, 0.0).leaving] == [["a", "b"]]


def test_over_its_room_it_refuses_at_once_and_admits_again_when_one_has_gone():
    machine, _, (a, _b) = a_loaded_machine("a", "b", room=3)

    _, full = arrive(machine, "c")
    machine.cancel(a)
    _, roomy = arrive(machine, "d")

    assert outcomes(full) == {"c": Overloaded}
    assert outcomes(roomy) == {}


def test_identical_reads_that_wait_share_one_errand_and_its_answer():
    machine, away, _ = a_loaded_machine()
    for seat in ("a", "b"):
        machine.arrive(Waiter("read 42", seat=seat, key=42), 0.0)

    (batch,) = machine.finished(away, 0.0).leaving

    assert items(batch) == ["read 42"]
    assert outcomes(machine.answered([(batch.errands[0], "result")])) == {"a": "result", "b": "result"}


def test_a_read_does_not_join_one_that_has_left_for_its_answer_could_be_older_than_the_question():
    machine = a_machine(batches=2)
    arrive(machine, "a", key=42)

    _, effects = arrive(machine, "b", key=42)

    assert [items(batch) for batch in effects.leaving] == [["b"]]


def test_one_who_shared_an_errand_may_go_and_the_other_is_answered():
    machine, away, _ = a_loaded_machine()
    first, _ = arrive(machine, "a", key=42)
    arrive(machine, "b", key=42)

    machine.cancel(first)
    (batch,) = machine.finished(away, 0.0).leaving

    assert outcomes(machine.answered([(batch.errands[0], "result")])) == {"b": "result"}


def test_an_errand_nobody_waits_for_does_not_leave():
    machine, away, (a, _b) = a_loaded_machine("a", "b")

    machine.cancel(a)

    assert [items(batch) for batch in machine.finished(away, 0.0).leaving] == [["b"]]


def test_an_answer_reaches_its_caller_while_its_batch_mates_are_still_out():
    machine, away, _ = a_loaded_machine("slow", "quick")
    (batch,) = machine.finished(away, 0.0).leaving

    assert outcomes(machine.answered([(batch.errands[1], "done")])) == {"quick": "done"}
    assert machine.in_flight == 1


def test_an_errand_has_one_outcome_and_the_first_counts():
    machine, away, _ = a_loaded_machine()

    machine.answered([(away.errands[0], "first")])

    assert outcomes(machine.answered([(away.errands[0], "second")])) == {}
    assert machine.counts["late"] == 1
    assert outcomes(machine.finished(away, 0.0, error=OSError())) == {}


def test_a_batch_that_fails_fails_its_own_and_no_other():
    machine = a_machine(batches=2)
    _, failing = arrive(machine, "a")
    _, healthy = arrive(machine, "b")

    assert outcomes(machine.finished(failing.leaving[0], 0.0, error=OSError())) == {"a": OSError}
    assert outcomes(machine.answered([(healthy.leaving[0].errands[0], "done")])) == {"b": "done"}


def test_what_a_batch_leaves_open_when_it_ends_is_unanswered():
    machine, away, _ = a_loaded_machine()

    assert outcomes(machine.finished(away, 0.0)) == {"first": Unanswered}


def test_a_released_batch_makes_room_once_and_may_still_answer():
    machine, away, _ = a_loaded_machine("a", "b", batch_size=1)

    released = [machine.released(away, 0.0), machine.released(away, 0.0)]

    assert [len(effects.leaving) for effects in released] == [1, 0]
    assert outcomes(machine.answered([(away.errands[0], "late but true")])) == {"first": "late but true"}


def test_one_whose_deadline_passes_while_waiting_is_told_that_nothing_was_done_and_never_leaves():
    machine, away, _ = a_loaded_machine()
    arrive(machine, "a", deadline=5.0)
    arrive(machine, "b", deadline=5.1)

    effects = machine.finished(away, 5.0)

    assert outcomes(effects)["a"] is Expired
    assert issubclass(Expired, NeverLeft)
    assert [items(batch) for batch in effects.leaving] == [["b"]]


def test_one_whose_deadline_passes_in_flight_is_told_that_nobody_knows():
    machine = a_machine()
    arrive(machine, "a", deadline=5.0)

    assert machine.next_deadline() == 5.0
    assert outcomes(machine.expired(5.0)) == {"a": Unanswered}
    assert not issubclass(Unanswered, NeverLeft)


def test_an_answer_for_which_nobody_waits_any_more_is_counted_as_late():
    machine = a_machine()
    _, effects = arrive(machine, "a", deadline=5.0)
    machine.expired(5.0)

    machine.answered([(effects.leaving[0].errands[0], "too late")])

    assert machine.counts["late"] == 1
    assert machine.counts["answered"] == 0


def test_one_that_comes_too_late_is_not_admitted():
    _, effects = arrive(a_machine(), "a", now=5.0, deadline=5.0)

    assert outcomes(effects) == {"a": Expired}
    assert effects.leaving == []


def test_once_closed_nobody_comes_in_but_those_who_are_in_still_leave():
    machine, away, _ = a_loaded_machine("a")

    machine.close()

    assert outcomes(arrive(machine, "b")[1]) == {"b": Closed}
    assert [items(batch) for batch in machine.finished(away, 0.0).leaving] == [["a"]]


def test_dismissing_tells_everybody_and_whether_they_had_left():
    machine, away, _ = a_loaded_machine("a")
    arrive(machine, "b", key=1)

    assert outcomes(machine.dismiss()) == {"a": Closed, "b": Closed, "first": Unanswered}
    assert machine.finished(away, 0.0) == Effects([], [])
    assert (machine.waiting, machine.in_flight, machine.slots_taken) == (0, 0, 0)


def test_errands_and_batches_know_until_when_they_are_wanted():
    machine, away, _ = a_loaded_machine()
    for deadline in (3.0, 7.0):
        arrive(machine, "a", key=1, deadline=deadline)
    waiter, _ = arrive(machine, "b", deadline=9.0)
    (batch,) = machine.finished(away, 0.0).leaving
    shared, alone = batch.errands

    assert (shared.deadline, alone.deadline, batch.deadline) == (7.0, 9.0, 9.0)
    machine.cancel(waiter)
    assert (alone.is_wanted, batch.deadline) == (False, 7.0)
    assert away.deadline is None


def test_callers_who_come_and_go_while_all_slots_are_stuck_leave_nothing_behind():
    machine, _, _ = a_loaded_machine()

    for n in range(5_000):
        waiter, _ = arrive(machine, "a", key=n, deadline=1e9)
        machine.cancel(waiter)

    assert (len(machine._queue), len(machine._joinable)) == (0, 0)
    assert len(machine._deadlines) <= 65


@pytest.mark.parametrize(
    ("asked", "fault"), [({"key": []}, TypeError), ({"deadline": float("nan")}, ValueError)], ids=["key", "deadline"]
)
def test_a_caller_that_would_harm_the_others_is_never_made(asked, fault):
    with pytest.raises(fault):
        Waiter("a", seat=None, **asked)


@pytest.mark.parametrize("figure", ["batches", "batch_size", "room"])
def test_a_policy_under_which_nothing_could_move_is_refused(figure):
    with pytest.raises(ValueError):
        CoalescingPolicy(**{figure: 0})


def test_a_sender_answers_fails_and_releases_through_its_batch():
    machine, away, _ = a_loaded_machine("a", "b")
    done = []
    sending = Sending(away, machine, do=done.append, clock=lambda: 0.0)

    sending.release()
    (batch,) = done[0].leaving
    onward = Sending(batch, machine, do=done.append, clock=lambda: 0.0)
    onward.answer(onward.errands[0], "done")
    onward.fail(onward.errands[1], OSError())

    assert (len(onward), onward.items, onward.deadline) == (2, ["a", "b"], None)
    assert [outcomes(effects) for effects in done[1:]] == [{"a": "done"}, {"b": OSError}]
