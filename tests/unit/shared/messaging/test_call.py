from shared.messaging.call import Call, current, serving


def test_the_call_being_served_is_the_current_one_within_its_block_only():
    call = Call(request_id="r-1")

    with serving(call):
        with serving(Call(request_id="r-2")):
            assert current().request_id == "r-2"
        assert current() is call

    assert current().request_id not in {"r-1", "r-2"}


def test_marks_are_not_shared_between_calls():
    Call(request_id="a").marks.replayed = True

    assert not Call(request_id="a").marks.replayed
