"""Runs several clients one step at a time, in an order that somebody chooses: the controlled scheduler.

A client stops at every scheduling point (a database statement, a COMMIT, the start of a call, a sleep); the scheduler
lets exactly one client move and waits until it stops again, has ended, or waits for a lock that another client holds.
Two runs with the same choices are the same run. No verdict depends on that: calls and answers are numbered when they
happen. Where a client stops is said through `points`.

Knows no driver, no store and no model.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from storeproof.conformance.histories import Moment, MomentKind
from storeproof.conformance.points import REAL_SLEEP, Client, Cut, Died, begun_by, over, sleeps_are_points, starter

Choose: TypeAlias = Callable[[Sequence[int], int | None], int]
"""Which of the clients that can move goes on; the second argument is the one that moved last."""
Probe: TypeAlias = Callable[[object], Awaitable[bool]]
"""Whether the session of a statement waits for another session's lock."""

STEP_S = 0.0015
"""How long a statement may take before anybody asks whether it waits for a lock; longer than `deadlock_timeout`."""
CHECKED_S = 0.003
"""How long a session waits before anybody else moves. Then it has looked for a deadlock, which is done once: one that
another session closes later is found by that other, who is the victim in every run.
"""
IDLE_PASSES = 25
"""Passes of the event loop after which a client that executes nothing is taken to wait for another client."""

ROUNDS = 3
"""Pauses that each follower ends after the last client has: what is late comes in them."""


class Stuck(Exception):
    """Clients wait for each other for ever."""


@dataclass(slots=True)
class Scheduler:
    """One run. `probe` is None where no statement can wait for a lock."""

    choose: Choose
    probe: Probe | None = None
    cut: Cut | None = None
    limit_s: float = 10.0
    choices: list[int] = field(default_factory=list[int])
    """What was chosen, in order: with these a run is repeated."""
    moments: list[Moment] = field(default_factory=list[Moment])
    follows: bool = False
    """Whether a task that a client starts is steered too, as a client with a number after theirs: a follower. Then the
    answer to a statement is a point as well, since a follower may act on it before its client does.
    """
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _clients: list[Client] = field(default_factory=list[Client])
    _works: int = 0
    _over: bool = False

    @property
    def dead(self) -> int | None:
        """The client that was cut off."""
        return next((client.number for client in self._clients if client.dead), None)

    def statements(self, number: int) -> int:
        """How many statements a client has executed."""
        return self._clients[number].statements

    def note(self, number: int, kind: MomentKind, text: str) -> None:
        """Adds a line to the timeline."""
        self.moments.append(Moment(number, kind, text))

    async def run(self, works: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Runs every client to its end. Raises Stuck where that takes too long, and what a client raised."""
        self._clients = [Client(number, self) for number in range(len(works))]
        self._works = len(works)
        try:
            with sleeps_are_points():
                for client, work in zip(self._clients, works, strict=True):
                    token = begun_by(client)
                    client.task = asyncio.create_task(self._body(client, work))
                    over(token)
                    await self._settle(client)
                await self._all_moves()
                if self.follows:
                    await self._drain(ROUNDS)
        finally:
            tasks = [client.task for client in self._clients[: len(works)] if client.task is not None]
            self._release()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients[: len(works)]:
            if client.task is not None and not client.task.cancelled() and client.task.exception() is not None:
                raise client.task.exception() or AssertionError

    def steered(self, task: asyncio.Task[Any] | None) -> Client | None:
        """The follower that the running task is, if it is one."""
        client = starter()
        if client is None or client.scheduler is not self or client.task is task:
            return None
        return self.follower(task)

    def follower(self, task: asyncio.Task[Any] | None) -> Client | None:
        """The follower that a task is, from its first point on."""
        if not self.follows or self._over or task is None:
            return None
        for client in self._clients:
            if client.task is task:
                return client
        client = Client(len(self._clients), self, task)
        self._clients.append(client)
        task.add_done_callback(lambda _: self._ended(client))
        return client

    def _ended(self, client: Client) -> None:
        client.state = "done"
        self._changed.set()

    async def arrive(self, client: Client, text: str | None, kind: MomentKind) -> None:
        """A client stops here until it is chosen. Without a text nothing is noted: it is the way back."""
        if client.dead:
            raise Died
        if self._over:
            return
        if kind == "statement" and text is not None and client.fresh:
            client.fresh = False
        else:
            client.grant = asyncio.get_running_loop().create_future()
            client.state = "asleep" if kind == "sleep" else "ready"
            self._changed.set()
            await client.grant
        if text is not None:
            client.fresh = kind == "call"
            self.note(client.number, kind, text)

    async def hold(self, client: Client) -> None:
        """A client that waited stops here. The one that gave its lock back may not have stopped yet, and which of the
        two came to its answer first would be a matter of time.
        """
        if not self._over:
            client.held = asyncio.get_running_loop().create_future()
            await client.held

    def may_die(self, client: Client, when: Literal["before", "after"]) -> None:
        """Raises Died where the cut is here, and for ever after."""
        if self.cut == Cut(client.number, client.statements, when) and not client.dead:
            client.dead = True
            self.note(client.number, "cut", f"dies {when} it")
        if client.dead:
            raise Died

    def answered(self, number: int) -> None:
        """A client has the answer to its next call. Raises Died where it dies of that."""
        client = self._clients[number]
        if self.cut == Cut(number, client.answers, "answered"):
            client.dead = True
            self.note(number, "cut", "dies after it")
            raise Died
        client.answers += 1

    async def _body(self, client: Client, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Died:
            pass
        finally:
            client.state = "done"
            self._changed.set()

    async def _all_moves(self) -> None:
        last: int | None = None
        until = time.monotonic() + self.limit_s
        while any(client.state != "done" for client in self._clients[: self._works]):
            if time.monotonic() > until:
                raise Stuck
            await self._followers_settle()
            able = [client.number for client in self._clients if client.state == "ready"]
            # Whoever sleeps waits for something to happen: it goes on when nobody else can.
            able = able or [client.number for client in self._clients if client.state == "asleep" or _pauses(client)]
            if not able:
                await self._wait(STEP_S)  # a deadlock, which the server ends, or a lock in the process
                await self._look_at_waiting()
                continue
            last = self.choose(able, last)
            self.choices.append(last)
            await self._step(self._clients[last])

    async def _step(self, chosen: Client) -> None:
        grant, chosen.grant = chosen.grant, None
        if grant is not None:
            chosen.state = "moving"
            grant.set_result(None)
        elif _pauses(chosen):
            chosen.waits = False
            timer = min(chosen.timers, key=lambda timer: timer.when)
            chosen.timers.remove(timer)
            timer.end()
        await self._settle(chosen)
        await self._look_at_waiting()

    async def _drain(self, rounds: int) -> None:
        """Lets the followers go on, one after the other, until each has ended so many pauses or has nothing to do."""
        left: defaultdict[int, int] = defaultdict(lambda: rounds)
        until = time.monotonic() + self.limit_s
        while time.monotonic() < until:
            await self._followers_settle()
            followers = self._clients[self._works :]
            ready = [client for client in followers if client.state == "ready"]
            paused = [client for client in followers if client.state == "asleep" or _pauses(client)]
            paused = [client for client in paused if left[client.number]]
            if not ready and not paused:
                return
            chosen = (ready or paused)[0]
            left[chosen.number] -= not ready
            await self._step(chosen)

    async def _followers_settle(self) -> None:
        if not self.follows:
            return
        for _ in range(IDLE_PASSES):
            await REAL_SLEEP(0)
        for client in self._clients[self._works :]:
            client.timers = [timer for timer in client.timers if not timer.handle.cancelled()]
            if client.state == "moving" and not client.waits:
                await self._settle(client)

    def _release(self) -> None:
        """From here on nobody is steered."""
        self._over = True
        for client in self._clients:
            _let_go(client)
        for client in self._clients[self._works :]:
            if client.grant is not None and not client.grant.done():
                client.grant.set_result(None)
            for timer in client.timers:
                if not timer.handle.cancelled():
                    timer.end()
            client.timers.clear()

    async def _look_at_waiting(self) -> None:
        """Whoever got its lock moves on to its next point before anybody else does: that makes runs repeatable."""
        for client in self._clients:
            if client.waits and not await self._still_waits(client):
                client.waits = False
                _let_go(client)
                await self._settle(client)

    async def _still_waits(self, client: Client) -> bool:
        if client.state != "moving" or client.held is not None:
            return False
        if client.at_work:
            return self.probe is not None and await self.probe(client.session)
        await self._passes(client)
        return client.state == "moving" and not client.at_work

    async def _settle(self, client: Client) -> None:
        """Until the client has stopped at a point, has ended, or waits for another client."""
        until = time.monotonic() + self.limit_s
        while client.state == "moving":
            if time.monotonic() > until:
                raise Stuck
            if not client.at_work:
                await self._passes(client)
                if client.state == "moving" and not client.at_work:
                    client.waits = True
                    return
            else:
                await self._wait(STEP_S)
                if await self._blocked(client):
                    await REAL_SLEEP(CHECKED_S)
                    if not await self._blocked(client):
                        continue
                    client.waits = True
                    self.note(client.number, "blocked", "waits for a lock")
                    return

    async def _blocked(self, client: Client) -> bool:
        if client.state != "moving" or not client.at_work or self.probe is None:
            return False
        return await self.probe(client.session)

    async def _passes(self, client: Client) -> None:
        for _ in range(IDLE_PASSES):
            if client.state != "moving" or client.at_work:
                return
            await REAL_SLEEP(0)

    async def _wait(self, seconds: float) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _let_go(client: Client) -> None:
    held, client.held = client.held, None
    if held is not None and not held.done():
        held.set_result(None)


def _pauses(client: Client) -> bool:
    return client.state == "moving" and client.waits and not client.at_work and len(client.timers) > 0
