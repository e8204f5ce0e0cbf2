"""Who waits, for a lock in the process, for one of a server or for the time to pass, makes no step meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from storeproof.conformance.exploring import Replay
from storeproof.conformance.points import executing, passing, point
from storeproof.conformance.scheduling import Probe
from tests.stepping import Work, explored, ran, steps

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
