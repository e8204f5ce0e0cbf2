"""The stage of anybody's Python store: what a `module:factory` yields, with its statements seen where that is possible.

What the author has to do: nothing, where the store uses psycopg, asyncpg or aiosqlite, alone or under SQLAlchemy's
asyncio engine. Their statements are scheduling points by themselves. What helps:

* yield a Reopenable, so that each client gets a store object of its own, as processes of their own would have; else all
  clients share the one store, and what only a lock in the process protects looks right:

      yield Reopenable(lambda: MyStore(url))

* import the driver with the module and not later, and open connections inside the factory, not in the module: a pool
  belongs to the event loop in which it was opened;
* let each store have connections enough for one operation; a client that waits for a connection of a shared pool waits
  for another client, which is explored too, but proves less.

Where no statement is seen (another driver, a thread, a process), or in memory, the points are the calls themselves and
every `asyncio.sleep` inside them, and `histories` with real concurrency are the evidence.

A statement in a task that the store starts for it is seen by nobody: it is waited for, and moves with its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Hashable
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

from storeproof.conformance.driverpoints import driver_points
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.lockwatch import LockWatch
from storeproof.conformance.programs import Program
from storeproof.conformance.pythonstore import GRACE_S, PythonStore
from storeproof.conformance.scheduling import Probe, Scheduler, Stuck
from storeproof.conformance.stages import CLIENTS
from storeproof.conformance.targets import Reopenable
from storeproof.conformance.watchdog import Blocked, watch
from storeproof.reference.model import Outcome
from storeproof.spec.specification import Specification

WARM = ("loadRun", {"runId": "warm"})
"""Called before a schedule begins, so that connections are made now and not in the middle of it."""


class FactoryStage:
    """Clients of the store that a factory yields; every run gets a fresh one.

    `factory`: without arguments, answers an async context manager, as `targets.StoreTarget` takes it.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        specification: Specification,
        limit_s: float,
        clients: int = CLIENTS,
    ) -> None:
        """`limit_s`: seconds an operation may take when it runs alone. `clients`: how many stores a run needs."""
        self.sees = "calls"
        self.quick = False
        self.shared = True
        self.probe: Probe | None = None
        self._name = name
        self._factory = factory
        self._specification = specification
        self._limit_s = limit_s
        self._clients = clients
        self._watch = LockWatch()
        self._space = AsyncExitStack()
        self._reopenable: Reopenable | None = None
        self._stacks: list[AsyncExitStack] = []
        self._stores: list[PythonStore] = []

    async def open(self) -> None:
        """Enters the factory once to see what it yields, and whether the statements of its store can be seen."""
        await self.prepare(())
        self.shared = self._reopenable is None
        with self.points():
            alone = Scheduler(lambda able, _last: able[0], limit_s=self._limit_s)
            with suppress(Stuck):  # the calls to come tell better
                await alone.run([lambda: self._touch(self.reader)])
        self.sees = "statements" if alone.statements(0) else "calls"
        self.probe = self._watch.probe

    async def close(self) -> None:
        """Leaves the factory and closes the connections that watch."""
        await self._leave()
        await self._watch.close()

    @contextmanager
    def points(self) -> Generator[None]:
        """Every statement of the drivers that are imported."""
        with driver_points(self._watch):
            yield

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """Enters the factory anew: nobody else knows how its store gets empty. All of the setup is called."""
        await self._leave()
        try:
            yielded = await self._space.enter_async_context(self._factory())
        except (Exception, SystemExit) as error:
            raise HarnessError(f"{self._name}: the factory failed: {type(error).__name__}: {error}") from error
        self._reopenable = yielded if isinstance(yielded, Reopenable) else None
        for _ in range(self._clients + 1):
            self._stacks.append(AsyncExitStack())
            self._stores.append(await self._opened(self._stacks[-1]) if self._reopenable else self._wrapped(yielded))
        outcomes = [await self.reader.call(call.operation, call.args) for call in setup]
        await self._warm(self._stores[: self._clients])
        return outcomes

    def client(self, number: int) -> PythonStore:
        """The store of a client."""
        return self._stores[number]

    @property
    def reader(self) -> PythonStore:
        """The store that sets up and reads."""
        return self._stores[self._clients]

    async def revive(self, number: int) -> None:
        """Another store for a client that was cut off, where it has one of its own."""
        if self._reopenable is None:
            return
        with suppress(Exception):  # its connections are gone
            await self._stacks[number].aclose()
        self._stacks[number] = AsyncExitStack()
        self._stores[number] = await self._opened(self._stacks[number])
        await self._warm([self._stores[number]])

    async def fingerprint(self) -> Hashable | None:
        """Nobody can tell; it is read through the store every time."""
        return None

    async def _warm(self, stores: list[PythonStore]) -> None:
        """All at once: a store that they share may have a pool. Whatever they answer, the calls to come tell better."""
        with suppress(TimeoutError, Blocked), watch(self._limit_s + GRACE_S):
            async with asyncio.timeout(self._limit_s):
                await asyncio.gather(*(store.answer(*WARM) for store in stores))

    async def _touch(self, store: PythonStore) -> None:
        await store.answer(*WARM)

    async def _opened(self, stack: AsyncExitStack) -> PythonStore:
        assert self._reopenable is not None
        try:
            return self._wrapped(await stack.enter_async_context(self._reopenable.open()))
        except Exception as error:
            raise HarnessError(
                f"{self._name}: the store could not be opened: {type(error).__name__}: {error}"
            ) from error

    def _wrapped(self, store: Any) -> PythonStore:
        return PythonStore(store, self._specification, self._limit_s)

    async def _leave(self) -> None:
        stacks, self._stacks, self._stores = self._stacks, [], []
        try:
            for stack in stacks:
                await stack.aclose()
            space, self._space = self._space, AsyncExitStack()
            await space.aclose()
        except Exception as error:
            raise HarnessError(f"{self._name}: closing the store failed: {type(error).__name__}: {error}") from error
