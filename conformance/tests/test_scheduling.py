"""The scheduler with clients that use no store: one moves at a time, in the order that was chosen, until all ended."""

from __future__ import annotations

import asyncio
from math import comb

import pytest
from storeproof.conformance.exploring import Replay
from storeproof.conformance.histories import Moment, MomentKind
from storeproof.conformance.points import Cut, Died, controlled, executing, orphaned, passing, point
from storeproof.conformance.scheduling import Scheduler, Stuck
from tests.stepping import Work, alone, explored, ran, steps

# one at a time, in the order chosen


def test_clients_move_one_at_a_time_as_chosen() -> None:
    done: list[str] = []
    scheduler = ran(steps("a", 3, done), steps("b", 3, done), choose=Replay((1, 0, 0, 1, 0, 1)).choose)
    assert done == ["b0", "a0", "a1", "b1", "a2", "b2"]
    assert scheduler.choices == [1, 0, 0, 1, 0, 1]
    assert [moment.text for moment in scheduler.moments] == done
    assert {moment.kind for moment in scheduler.moments} == {"statement"}
    assert scheduler.dead is None


@pytest.mark.parametrize(("counts", "schedules"), [((2, 2), 6), ((3, 3), 20), ((2, 2, 2), 90)])
def test_every_order_of_steps_takes_place_once(counts: tuple[int, ...], schedules: int) -> None:
    orders: list[tuple[str, ...]] = []
    done: list[str] = []

    def works() -> tuple[Work, ...]:
        done.clear()
        return tuple(steps("abc"[number], count, done) for number, count in enumerate(counts))

    for scheduler in explored(works):
        orders.append(tuple(done))
        assert scheduler.choices == ["abc".index(step[0]) for step in done]
    assert len(orders) == len(set(orders)) == schedules


def test_nobody_moves_while_another_executes() -> None:
    """However long a statement takes, and wherever it is executed."""
    under_way: list[int] = []
    most = 0

    def works() -> tuple[Work, ...]:
        def work(number: int) -> Work:
            async def client() -> None:
                nonlocal most
                for _ in range(3):
                    await point("statement")
                    async with executing():
                        under_way.append(number)
                        await asyncio.to_thread(lambda: None)
                        most = max(most, len(under_way))
                        under_way.remove(number)

            return client

        return work(0), work(1)

    runs = list(explored(works))
    assert len(runs) == comb(6, 3)
    assert most == 1
    assert all(run.statements(0) == run.statements(1) == 3 for run in runs)


def test_a_driver_that_needs_several_passes_is_not_taken_to_wait() -> None:
    """Outside of a statement a client may await what the next passes of the event loop bring."""

    async def slow() -> None:
        for _ in range(3):
            await point("a")
            for _ in range(5):
                await _pass()

    async def quick() -> None:
        for _ in range(3):
            await point("b")

    found = [tuple(run.choices) for run in explored(lambda: (slow, quick))]
    assert len(found) == len(set(found)) == comb(6, 3)


async def _pass() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


def test_clients_that_do_nothing() -> None:
    async def nothing() -> None:
        pass

    assert ran(nothing, nothing).choices == []
    assert ran().choices == []


# the first statement goes with its call


def test_the_first_statement_of_a_call_goes_with_it() -> None:
    def works() -> tuple[Work, ...]:
        def work() -> Work:
            async def client() -> None:
                for call in ("f()", "g()"):
                    await point(call, "call")
                    await point("select 1")
                    await point("COMMIT")

            return client

        return work(), work()

    runs = list(explored(works))
    # Four steps each, not six.
    assert len(runs) == comb(8, 4)
    first = [(moment.kind, moment.text) for moment in runs[0].moments if moment.client == 0]
    assert first == [
        ("call", "f()"),
        ("statement", "select 1"),
        ("statement", "COMMIT"),
        ("call", "g()"),
        ("statement", "select 1"),
        ("statement", "COMMIT"),
    ]
    for run in runs:
        order = [(moment.client, moment.text) for moment in run.moments]
        for place, (client, text) in enumerate(order):
            if text in ("f()", "g()"):
                assert order[place + 1] == (client, "select 1")


def test_a_call_without_a_statement_is_a_step() -> None:
    async def client() -> None:
        await point("f()", "call")
        await point("g()", "call")

    assert ran(client).choices == [0, 0]


# ends


async def _waits_for_ever() -> None:
    await asyncio.Event().wait()


async def _executes_for_ever() -> None:
    await point("select pg_sleep('infinity')")
    async with executing():
        await asyncio.Event().wait()


async def _retries_for_ever() -> None:
    while True:
        await asyncio.sleep(1)


@pytest.mark.parametrize("stuck", [_waits_for_ever, _executes_for_ever, _retries_for_ever])
def test_a_client_that_never_ends_ends_the_run(stuck: Work) -> None:
    done: list[str] = []
    scheduler = Scheduler(Replay((1, 1)).choose, limit_s=0.5)

    async def run() -> None:
        with pytest.raises(Stuck):
            await alone(scheduler.run([stuck, steps("b", 2, done)]))

    asyncio.run(run())
    assert done == ["b0", "b1"]


def test_two_clients_that_wait_for_each_other() -> None:
    async def run() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()

        def work(first: asyncio.Lock, second: asyncio.Lock) -> Work:
            async def client() -> None:
                async with first:
                    await point("between")
                    async with second:
                        pass

            return client

        scheduler = Scheduler(Replay(()).choose, limit_s=0.5)
        with pytest.raises(Stuck):
            await alone(scheduler.run([work(left, right), work(right, left)]))

    asyncio.run(run())


def test_what_a_client_raises_is_raised_when_all_have_ended() -> None:
    done: list[str] = []

    async def fails() -> None:
        await point("a")
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        ran(fails, steps("b", 3, done))
    assert done == ["b0", "b1", "b2"]


# who is steered


def test_outside_of_a_schedule_nothing_happens() -> None:
    async def run() -> None:
        assert not controlled()
        assert not orphaned()
        await point("a")
        async with executing(), passing():
            await point("b")

    asyncio.run(run())


def test_what_a_client_starts_or_passes_over_is_not_steered() -> None:
    seen: dict[str, bool] = {}

    async def child() -> None:
        seen["child"] = controlled()
        await point("of a child")
        async with executing():
            pass

    async def client() -> None:
        await point("first")
        seen["client"] = controlled()
        task = asyncio.create_task(child())
        async with passing():
            seen["passing"] = controlled()
            await point("inside")
            await task
        seen["afterwards"] = controlled()
        await point("last")

    scheduler = ran(client, steps("b", 1, []))
    assert seen == {"client": True, "child": False, "passing": False, "afterwards": True}
    assert [moment.text for moment in scheduler.moments] == ["first", "last", "b0"]
    assert scheduler.statements(0) == 0


def test_a_task_that_the_dead_leaves_behind_executes_nothing() -> None:
    effects: list[str] = []

    async def run() -> None:
        late: list[asyncio.Task[None]] = []
        go_on = asyncio.Event()

        async def behind() -> None:
            await go_on.wait()
            async with executing():
                effects.append("behind")

        async def client() -> None:
            late.append(asyncio.create_task(behind()))
            await point("answer first")
            async with executing():
                effects.append("first")

        scheduler = Scheduler(Replay(()).choose, cut=Cut(0, 0, "after"))
        await scheduler.run([client])
        go_on.set()
        with pytest.raises(Died):
            await late[0]

    asyncio.run(run())
    assert effects == ["first"]


@pytest.mark.parametrize("kind", ["call", "statement", "sleep"])
def test_every_kind_of_point_is_a_moment(kind: MomentKind) -> None:
    async def client() -> None:
        await point("x", kind)

    assert ran(client).moments == [Moment(0, kind, "x")]
