from edge.rpc.retries import RetryBudget


def test_a_tenth_of_the_calls_may_be_repeated_in_the_long_run():
    budget = RetryBudget(ratio=0.1, cap=10)
    while budget.spend():
        pass

    granted = 0
    for _ in range(1000):
        budget.earn()
        granted += budget.spend()

    assert 98 <= granted <= 101


def test_a_quiet_hour_saves_up_no_more_than_the_cap():
    budget = RetryBudget(ratio=0.1, cap=3)
    for _ in range(1000):
        budget.earn()

    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
