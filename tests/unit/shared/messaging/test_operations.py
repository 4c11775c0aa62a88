import pytest

from shared.contracts.refusals import KeyReused, StillRunning, Unavailable
from shared.messaging.call import Call
from shared.messaging.operations import Operation, Replay, replay_for


def a_call(**facts):
    return Call(**{"request_id": "r", "method": "order.place_order", "fingerprint": "f", **facts})


def an_operation(**facts):
    known = {"operation_id": "o", "method": "order.place_order", "fingerprint": "f", "replay": Replay(answer=1)}
    return Operation(**{**known, **facts})


def test_a_repetition_is_marked_as_replayed():
    call = a_call()

    assert replay_for(an_operation(), call).give() == 1
    assert call.marks.replayed


def test_a_refusal_is_raised_again():
    with pytest.raises(Unavailable):
        Replay(refusal=Unavailable()).give()


@pytest.mark.parametrize("facts", [{"fingerprint": "g"}, {"method": "order.cancel_order"}])
def test_an_operation_id_belongs_to_one_request(facts):
    with pytest.raises(KeyReused):
        replay_for(an_operation(), a_call(**facts))


def test_an_unknown_fingerprint_differs_from_nothing():
    assert replay_for(an_operation(fingerprint=None), a_call()).answer == 1


def test_an_unfinished_operation_is_still_running():
    with pytest.raises(StillRunning) as refusal:
        replay_for(an_operation(replay=None), a_call())

    assert refusal.value.details == {"retry_after": 1}
