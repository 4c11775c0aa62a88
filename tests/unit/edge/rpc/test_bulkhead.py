import asyncio

import pytest

from edge.rpc.bulkhead import Bulkhead
from edge.rpc.failures import NotExecuted


def test_those_who_wait_are_let_in_in_the_order_they_came():
    async def scenario():
        bulkhead = Bulkhead(limit=1, queue=10)
        order: list[int] = []

        async def visit(number: int) -> None:
            async with bulkhead.place(patience=1):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(number) for number in range(5)))

        assert order == [0, 1, 2, 3, 4]
        assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

    asyncio.run(scenario())


def test_never_more_than_the_limit_are_inside():
    async def scenario():
        bulkhead = Bulkhead(limit=3, queue=100)
        inside = most = 0

        async def visit() -> None:
            nonlocal inside, most
            async with bulkhead.place(patience=1):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(visit() for _ in range(50)))

        assert most == 3
        assert bulkhead.in_flight == 0

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once():
    async def scenario():
        bulkhead = Bulkhead(limit=1, queue=0)
        async with bulkhead.place(patience=1):
            with pytest.raises(NotExecuted):
                async with bulkhead.place(patience=1):
                    pass

    asyncio.run(scenario())


def test_patience_ends():
    async def scenario():
        bulkhead = Bulkhead(limit=1, queue=5)
        async with bulkhead.place(patience=1):
            with pytest.raises(NotExecuted):
                async with bulkhead.place(patience=0.01):
                    pass
        assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("ticks", range(6))
def test_a_place_is_never_lost_to_a_visitor_who_is_cancelled_at_any_moment(ticks):
    async def scenario():
        bulkhead = Bulkhead(limit=1, queue=5)
        first_may_go = asyncio.Event()

        async def first() -> None:
            async with bulkhead.place(patience=1):
                await first_may_go.wait()

        async def second() -> None:
            async with bulkhead.place(patience=1):
                pass

        one = asyncio.create_task(first())
        await asyncio.sleep(0)
        other = asyncio.create_task(second())
        await asyncio.sleep(0)
        first_may_go.set()
        for _ in range(ticks):
            await asyncio.sleep(0)
        other.cancel()
        await asyncio.gather(one, other, return_exceptions=True)

        assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

    asyncio.run(scenario())
