"""Any order of events against a model that is too simple to be wrong: a list of groups, and a set of batches."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from shared.resilience.coalescing import (
    Closed,
    Coalescing,
    CoalescingPolicy,
    Expired,
    Overloaded,
    Unanswered,
    Waiter,
)

KEYS = st.sampled_from([None, None, "a", "b"])
PATIENCE = st.none() | st.integers(0, 4)


@dataclass(eq=False)
class Group:
    """Callers who share one errand."""

    key: str | None
    members: list = field(default_factory=list)
    is_settled: bool = False


@dataclass(eq=False)
class Away:
    """A batch as its sender sees it."""

    batch: object
    groups: list
    holds_slot: bool = True
    has_ended: bool = False


class CoalescingAgainstAModel(RuleBasedStateMachine):
    callers = Bundle("callers")

    @initialize(
        batches=st.integers(1, 3), batch_size=st.integers(1, 4), room=st.integers(1, 12), dismissed=st.booleans()
    )
    def open(self, batches, batch_size, room, dismissed):
        self.policy = CoalescingPolicy(batches=batches, batch_size=batch_size, room=room)
        self.machine = Coalescing(self.policy)
        self.dismissed = dismissed
        self.now = 0.0
        self.arrived = 0
        self.queue: list[Group] = []
        self.away: list[Away] = []
        self.told: dict[Waiter, tuple] = {}
        self.gone: set[Waiter] = set()

    @rule(target=callers, key=KEYS, patience=PATIENCE)
    def arrive(self, key, patience):
        waiter = Waiter(
            key or f"item {self.arrived}",
            seat=self.arrived,
            key=key,
            deadline=None if patience is None else self.now + patience,
        )
        self.arrived += 1
        expected = self.expected_to_expire()
        if waiter.deadline is not None and waiter.deadline <= self.now:
            expected[waiter] = (None, Expired)
        elif len(self.present()) >= self.policy.room:
            expected[waiter] = (None, Overloaded)
        else:
            group = next((g for g in self.queue if key is not None and g.key == key), None)
            if group is None:
                group = Group(key)
                self.queue.append(group)
            group.members.append(waiter)

        effects = self.machine.arrive(waiter, self.now)

        assert not effects.leaving
        self.check(effects, expected)
        return waiter

    @rule()
    def the_turn_ends(self):
        self.check(self.machine.depart(self.now), self.expected_to_expire())

        assert not self.queue or self.slots_free() == 0

    @rule(waiter=callers)
    def cancel(self, waiter):
        if waiter not in self.told:
            self.gone.add(waiter)
        self.forget(waiter)

        self.machine.cancel(waiter)

    @rule(data=st.data(), error=st.sampled_from([None, OSError()]))
    def settle_one(self, data, error):
        if not self.away:
            return
        away = data.draw(st.sampled_from(self.away))
        position = data.draw(st.integers(0, len(away.groups) - 1))
        group, errand = away.groups[position], away.batch.errands[position]
        result = f"result of {errand.item}"
        expected = {waiter: (result if error is None else None, error and type(error)) for waiter in group.members}
        if group.is_settled:
            assert not group.members
        group.is_settled = True
        group.members = []

        effects = self.machine.answered([(errand, result)]) if error is None else self.machine.failed(errand, error)

        assert all(told.result == f"result of {told.waiter.item}" for told in effects.told if error is None)
        self.check(effects, expected)

    @rule(data=st.data())
    def release(self, data):
        if not self.away:
            return
        away = data.draw(st.sampled_from(self.away))
        expected = self.expected_to_expire()
        away.holds_slot = False

        self.check(self.machine.released(away.batch, self.now), expected)

    @rule(data=st.data(), error=st.sampled_from([None, OSError()]))
    def finish(self, data, error):
        if self.away:
            self.finish_one(data.draw(st.sampled_from(self.away)), error)

    @rule(seconds=st.integers(1, 3))
    def time_passes_unnoticed(self, seconds):
        self.now += seconds

    @rule()
    def the_alarm_rings(self):
        self.check(self.machine.expired(self.now), self.expected_to_expire())

        assert all(waiter.deadline is None or waiter.deadline > self.now for waiter in self.present())

    @invariant()
    def no_more_is_under_way_than_allowed(self):
        assert self.machine.slots_taken == self.policy.batches - self.slots_free()
        assert 0 <= self.machine.slots_taken <= self.policy.batches
        assert self.machine.waiting == sum(len(group.members) for group in self.queue)
        assert self.machine.in_flight == sum(len(group.members) for away in self.away for group in away.groups)
        assert self.machine.waiting + self.machine.in_flight <= self.policy.room

    @invariant()
    def the_turn_must_end_while_somebody_waits_and_a_slot_is_free(self):
        assert self.machine.is_due == (bool(self.queue) and self.slots_free() > 0)

    @invariant()
    def everybody_is_somewhere_once(self):
        present = self.present()
        assert len(present) == len(set(present))
        assert set(present).isdisjoint(self.told)
        assert set(present).isdisjoint(self.gone)
        assert len(present) + len(self.told) + len(self.gone) == self.arrived

    @invariant()
    def the_counts_add_up(self):
        over = ("answered", "failed", "refused", "expired", "closed", "unanswered", "cancelled")
        assert self.machine.counts["arrived"] == self.arrived
        assert sum(self.machine.counts[name] for name in over) == len(self.told) + len(self.gone)

    @invariant()
    def the_next_deadline_is_that_of_somebody_present(self):
        deadlines = [waiter.deadline for waiter in self.present() if waiter.deadline is not None]
        assert self.machine.next_deadline() == min(deadlines, default=None)
        assert len(self.machine._deadlines) <= max(64, 2 * len(deadlines)) + 1

    def teardown(self):
        if not hasattr(self, "machine"):
            return
        if self.dismissed:
            self.dismiss()
        self.the_turn_ends()
        for away in self.away:  # grows as batches leave
            self.finish_one(away, None)
        assert not self.present()
        assert len(self.told) + len(self.gone) == self.arrived
        assert (self.machine.waiting, self.machine.in_flight, self.machine.slots_taken) == (0, 0, 0)
        assert (len(self.machine._queue), len(self.machine._joinable), len(self.machine._under_way)) == (0, 0, 0)

    def dismiss(self):
        expected = {waiter: (None, Closed) for group in self.queue for waiter in group.members}
        expected |= {w: (None, Unanswered) for away in self.away for group in away.groups for w in group.members}
        self.queue = []
        for away in self.away:
            away.holds_slot = False
            away.has_ended = True
            for group in away.groups:
                group.members = []
        self.check(self.machine.dismiss(), expected)

    def finish_one(self, away, error):
        expected = self.expected_to_expire()
        if not away.has_ended:
            for group in away.groups:
                expected |= dict.fromkeys(group.members, (None, OSError if error else Unanswered))
                group.members = []
        away.holds_slot = False
        away.has_ended = True

        self.check(self.machine.finished(away.batch, self.now, error=error), expected)

    def check(self, effects, expected):
        """What the machine wants done is what the model expects: these callers told, and the queue's front leaving."""
        outcomes = {told.waiter: (told.result, told.error and type(told.error)) for told in effects.told}
        assert len(outcomes) == len(effects.told)
        assert outcomes == expected
        assert self.told.keys().isdisjoint(outcomes)
        assert self.gone.isdisjoint(outcomes)
        self.told |= outcomes
        for batch in effects.leaving:
            size = min(self.policy.batch_size, len(self.queue))
            groups, self.queue = self.queue[:size], self.queue[size:]
            assert [list(errand.waiters) for errand in batch.errands] == [group.members for group in groups]
            assert all(w.deadline is None or w.deadline > self.now for group in groups for w in group.members)
            self.away.append(Away(batch, groups))

    def expected_to_expire(self):
        waiting = {waiter for group in self.queue for waiter in group.members}
        late = [waiter for waiter in self.present() if waiter.deadline is not None and waiter.deadline <= self.now]
        for waiter in late:
            self.forget(waiter)
        return {waiter: (None, Expired if waiter in waiting else Unanswered) for waiter in late}

    def forget(self, waiter):
        for group in [*self.queue, *(group for away in self.away for group in away.groups)]:
            if waiter in group.members:
                group.members.remove(waiter)
        self.queue = [group for group in self.queue if group.members]

    def present(self):
        groups = [*self.queue, *(group for away in self.away for group in away.groups)]
        return [waiter for group in groups for waiter in group.members]

    def slots_free(self):
        return self.policy.batches - sum(away.holds_slot for away in self.away)


CoalescingAgainstAModel.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestCoalescingAgainstAModel = CoalescingAgainstAModel.TestCase
