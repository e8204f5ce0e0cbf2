"""The scheduler with clients that use no store: one moves at a time, in the order that was chosen, until all ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from math import comb
from typing import Any

import pytest
from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.histories import Moment, MomentKind
from storeproof.conformance.points import Cut, Died, controlled, executing, orphaned, passing, point
from storeproof.conformance.scheduling import Choose, Probe, Scheduler, Stuck

Work = Callable[[], Awaitable[None]]


def ran(*works: Work, choose: Choose | None = None, cut: Cut | None = None, probe: Probe | None = None) -> Scheduler:
    """One run on a loop of its own, which it leaves without tasks."""
    scheduler = Scheduler(choose or Replay(()).choose, probe, cut)
    asyncio.run(alone(scheduler.run(works)))
    return scheduler


async def alone(work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(20):
            await work
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


def explored(works: Callable[[], tuple[Work, ...]], probe: Callable[[], Probe] | None = None) -> Iterator[Scheduler]:
    """Every schedule; `works` makes the clients of each anew, `probe` what belongs to them, after them."""
    explorer = Explorer(None)
    while explorer.more:
        clients = works()
        yield ran(*clients, choose=explorer.choose, probe=probe() if probe else None)
        explorer.advance()


def steps(name: str, count: int, done: list[str]) -> Work:
    """A client that notes what it does after each of its points."""

    async def work() -> None:
        for number in range(count):
            await point(f"{name}{number}")
            done.append(f"{name}{number}")

    return work


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


# locks


def test_a_lock_in_the_process_is_waited_for() -> None:
    """Who wants it makes no step until it is free; the others do, and every order that is possible takes place."""
    inside: list[int] = []
    most = 0

    def works() -> tuple[Work, ...]:
        lock = asyncio.Lock()

        def work(number: int) -> Work:
            async def client() -> None:
                nonlocal most
                await point("f()", "call")
                async with lock:
                    inside.append(number)
                    most = max(most, len(inside))
                    await point("select 1")
                    await point("update")
                    await point("COMMIT")
                    inside.remove(number)

            return client

        return work(0), work(1)

    runs = list(explored(works))
    assert most == 1
    # The other's call comes after, or between the steps of the one that holds the lock; its statements come after.
    found = [tuple(run.choices) for run in runs]
    late, first, second = (0, 0, 0, 1, 1, 1), (0, 0, 1, 0, 1, 1), (0, 1, 0, 0, 1, 1)
    others = [tuple(1 - client for client in schedule) for schedule in (late, first, second)]
    assert found == [late, first, second, *others]
    for run in runs:
        holder = run.moments[0].client
        done = [moment.client for moment in run.moments if moment.kind == "statement"]
        assert done == [holder] * 3 + [1 - holder] * 3
    assert [run.choices for run in explored(works)] == [run.choices for run in runs]
    assert [run.moments for run in explored(works)] == [run.moments for run in runs]


def test_who_gets_a_lock_goes_on_to_its_next_point_before_anybody_else_moves() -> None:
    """So its next steps and those of the one that gave the lock back may come in any order."""

    def works() -> tuple[Work, ...]:
        lock = asyncio.Lock()

        def work() -> Work:
            async def client() -> None:
                await point("f()", "call")
                async with lock:
                    await point("inside")
                    await point("COMMIT")
                await point("after")

            return client

        return work(), work()

    runs = [" ".join(f"{moment.client}{moment.text[0]}" for moment in run.moments) for run in explored(works)]
    assert [run for run in runs if run.startswith("0f 0i 1f")] == [
        "0f 0i 1f 0C 1i 0a 1C 1a",
        "0f 0i 1f 0C 1i 1C 1a 0a",
        "0f 0i 1f 0C 1i 1C 0a 1a",
    ]
    assert len(runs) == len(set(runs)) == 14


def test_three_clients_get_a_lock_in_the_order_in_which_they_asked() -> None:
    got: list[int] = []

    def works() -> tuple[Work, ...]:
        lock = asyncio.Lock()
        got.clear()

        def work(number: int) -> Work:
            async def client() -> None:
                await point("f()", "call")
                async with lock:
                    got.append(number)
                    await point("a")
                    await point("b")

            return client

        return work(0), work(1), work(2)

    ran(*works(), choose=Replay((0, 2, 1)).choose)
    assert got == [0, 2, 1]
    orders: set[tuple[int, ...]] = set()
    for run in explored(works):
        asked = tuple(moment.client for moment in run.moments if moment.kind == "call")
        assert asked == tuple(got)
        orders.add(asked)
    assert len(orders) == 6


class Server:
    """Rows that sessions lock and somebody else can look at: what a database server is to the scheduler."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.freed = asyncio.Condition()
        self.waiting: set[str] = set()

    async def blocked(self, session: object) -> bool:
        return session in self.waiting

    async def lock(self, session: str, row: str) -> None:
        await point(f"lock {row}")
        async with executing(session), self.freed:
            while self.held.get(row, session) != session:
                self.waiting.add(session)
                await self.freed.wait()
                self.waiting.discard(session)
            self.held[row] = session

    async def commit(self, session: str) -> None:
        await point("COMMIT")
        async with executing(session), self.freed:
            self.held = {row: holder for row, holder in self.held.items() if holder != session}
            self.waiting.clear()
            self.freed.notify_all()


def test_a_session_that_waits_for_a_lock_is_passed_over_until_it_has_it() -> None:
    servers: list[Server] = []

    def works() -> tuple[Work, ...]:
        server = Server()
        servers.append(server)

        def work(session: str) -> Work:
            async def client() -> None:
                await server.lock(session, "r")
                await server.lock(session, "r")
                await server.commit(session)

            return client

        return work("one"), work("two")

    def probe() -> Probe:
        return servers[-1].blocked

    runs = list(explored(works, probe))
    kinds = [tuple((moment.client, moment.kind) for moment in run.moments) for run in runs]
    assert len(set(kinds)) == len(runs) == 6
    # In four of them the second one has to wait; never both, and nobody gets stuck.
    blocked = [[moment for moment in run.moments if moment.kind == "blocked"] for run in runs]
    assert sorted(map(len, blocked)) == [0, 0, 1, 1, 1, 1]
    assert {moment.text for found in blocked for moment in found} == {"waits for a lock"}
    assert [run.moments for run in explored(works, probe)] == [run.moments for run in runs]


def test_who_gets_a_lock_does_nothing_until_the_one_that_gave_it_back_has_stopped() -> None:
    """However long that one takes to its answer."""
    done: list[str] = []

    def works() -> tuple[Work, ...]:
        server = Server()
        done.clear()

        async def first() -> None:
            await server.lock("one", "r")
            await server.commit("one")
            async with passing():
                for _ in range(5):
                    await asyncio.to_thread(lambda: None)
            done.append("first")

        async def second() -> None:
            await server.lock("two", "r")
            done.append("second")
            await server.commit("two")

        servers.append(server)
        return first, second

    servers: list[Server] = []
    orders = {
        tuple(moment.client for moment in run.moments if moment.kind == "blocked"): tuple(done)
        for run in explored(works, lambda: servers[-1].blocked)
    }
    assert orders[(1,)] == ("first", "second")
    assert set(orders) == {(), (0,), (1,)}


# sleeps


def test_sleeps_are_points_and_take_no_time() -> None:
    """A pause of an hour ends when nobody else can go on, well before the run would count as stuck."""
    done: list[str] = []

    def works() -> tuple[Work, ...]:
        done.clear()

        async def sleeper() -> None:
            await point("f()", "call")
            assert await asyncio.sleep(3600, "slept") == "slept"
            done.append("slept")
            await asyncio.sleep(0)
            done.append("slept again")

        return sleeper, steps("b", 2, done)

    runs = list(explored(works))
    assert [tuple(run.choices) for run in runs] == [(0, 1, 1, 0, 0), (1, 1, 0, 0, 0), (1, 0, 1, 0, 0)]
    assert done == ["b0", "b1", "slept", "slept again"]
    assert [moment.kind for moment in runs[0].moments] == ["call", "statement", "statement", "sleep", "sleep"]


def test_of_two_sleepers_either_may_wake_first() -> None:
    woken: list[str] = []

    def works() -> tuple[Work, ...]:
        woken.clear()

        def work(name: str, seconds: float) -> Work:
            async def client() -> None:
                await asyncio.sleep(seconds)
                woken.append(name)

            return client

        return work("a", 3600), work("b", 0.5)

    assert [tuple(woken) for _ in explored(works)] == [("a", "b"), ("b", "a")]


def test_sleep_is_itself_again_afterwards() -> None:
    before = asyncio.sleep

    async def client() -> None:
        assert asyncio.sleep is not before
        await asyncio.sleep(3600)

    async def fails() -> None:
        raise LookupError("of a client")

    ran(client)
    assert asyncio.sleep is before
    with pytest.raises(LookupError, match="of a client"):
        ran(fails)
    assert asyncio.sleep is before


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


# cuts


def writes(effects: list[int], again: bool = False) -> Work:
    """Three statements; where one fails in any way the client tries what is left, as a careless `finally` does."""

    async def statement(number: int) -> None:
        await point(f"write {number}")
        async with executing():
            effects.append(number)

    async def client() -> None:
        for number in range(3):
            if again:
                with suppress(Died):
                    await statement(number)
            else:
                await statement(number)

    return client


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_client_dies_before_or_after_a_statement_and_does_nothing_any_more(at: int, again: bool) -> None:
    for when, left in (("before", at), ("after", at + 1)):
        effects: list[int] = []
        others: list[str] = []
        scheduler = ran(writes(effects, again), steps("b", 2, others), cut=Cut(0, at, when))  # type: ignore[arg-type]
        assert effects == list(range(left))
        assert others == ["b0", "b1"]
        assert scheduler.dead == 0
        cuts = [(moment.client, moment.text) for moment in scheduler.moments if moment.kind == "cut"]
        assert cuts == [(0, f"dies {when} it")]
        # What is cut before a statement came to that statement; of the later ones nothing is to be seen.
        assert [moment.text for moment in scheduler.moments if moment.client == 0 and moment.kind == "statement"] == [
            f"write {number}" for number in range(at + 1)
        ]


def test_a_statement_that_fails_is_no_place_to_die_after() -> None:
    async def client() -> None:
        for _ in range(2):
            await point("insert")
            with suppress(ValueError):
                async with executing():
                    raise ValueError

    scheduler = ran(client, cut=Cut(0, 0, "after"))
    assert scheduler.dead is None


@pytest.mark.parametrize("cut", [Cut(1, 0, "after"), Cut(0, 3, "before"), Cut(0, 9, "after")])
def test_a_cut_elsewhere_cuts_nothing(cut: Cut) -> None:
    effects: list[int] = []
    scheduler = ran(writes(effects), steps("b", 1, []), cut=cut)
    assert (effects, scheduler.dead, scheduler.statements(0)) == ([0, 1, 2], None, 3)


def test_a_lost_answer_is_an_error_of_the_driver_and_the_client_lives_on() -> None:
    effects: list[str] = []

    async def statement(text: str) -> None:
        await point(text)
        async with executing(lost=lambda: ConnectionError("gone")):
            effects.append(text)

    async def client() -> None:
        await statement("first")
        with suppress(ConnectionError):
            await statement("second")
        effects.append("hears of it")
        await statement("third")

    scheduler = ran(client, cut=Cut(0, 1, "lost"))
    assert effects == ["first", "second", "hears of it", "third"]
    assert scheduler.dead is None
    assert [moment.kind for moment in scheduler.moments] == ["statement", "statement", "lost", "statement"]
    effects.clear()
    ran(client)
    assert effects == ["first", "second", "hears of it", "third"]


def test_a_client_dies_of_its_answer() -> None:
    effects: list[str] = []

    async def run() -> Scheduler:
        async def client() -> None:
            for name in ("f", "g", "h"):
                await point(f"{name}()", "call")
                effects.append(name)
                scheduler.note(0, "answer", name)
                scheduler.answered(0)

        scheduler = Scheduler(Replay(()).choose, cut=Cut(0, 1, "answered"))
        await alone(scheduler.run([client]))
        return scheduler

    scheduler = asyncio.run(run())
    assert effects == ["f", "g"]
    assert scheduler.dead == 0
    assert scheduler.moments[-2:] == [Moment(0, "answer", "g"), Moment(0, "cut", "dies after it")]


def test_no_handler_of_exceptions_sees_a_death() -> None:
    caught: list[Exception] = []

    async def client() -> None:
        try:
            await point("a")
            async with executing():
                pass
        except Exception as error:
            caught.append(error)

    assert ran(client, cut=Cut(0, 0, "after")).dead == 0
    assert caught == []


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
