from types import SimpleNamespace

from edge.metrics.tokens import TokenState
from edge.revocations import EndedSessions


def samples(keys, sessions):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in TokenState(keys, sessions).collect()
        for sample in family.samples
    }


def test_what_tokens_are_judged_by_is_told_as_it_stands():
    sessions = EndedSessions()
    sessions.add("s", 10)

    before = samples(SimpleNamespace(age=12.5), sessions)
    sessions.hear_all()

    assert before == {
        ("kirana_edge_keys_age_seconds",): 12.5,
        ("kirana_edge_revocations", "session"): 1,
        ("kirana_edge_revocations", "user"): 0,
        ("kirana_edge_revocations_complete",): 0,
    }
    assert samples(SimpleNamespace(age=0.0), sessions)["kirana_edge_revocations_complete",] == 1


def test_keys_that_were_never_told_have_no_age():
    assert ("kirana_edge_keys_age_seconds",) not in samples(SimpleNamespace(age=float("inf")), EndedSessions())
