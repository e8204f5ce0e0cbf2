"""Where a client of a schedule stops: said by whoever sees its statements, such as a driver's hook or a binding.

`point` and `executing` do nothing outside of a schedule. Knows no driver and no store; who goes on is the scheduler's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from storeproof.conformance.histories import MomentKind


class Died(BaseException):
    """A client was cut off. Not an Exception, so that no store handles it; every later statement raises it again."""


When: TypeAlias = Literal["before", "after", "lost", "answered"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a client dies: before or after its statement number `at`, counted from 0, COMMITs included.

    `lost`: the statement was executed and its connection breaks before the answer; the client lives on. `answered`: the
    client dies right after the answer to its call number `at`, before anything that it left for later.
    """

    client: int
    at: int
    when: When


@dataclass(frozen=True, slots=True)
class Timer:
    """A pause of a task that a client started: at `when` of the event loop's clock it is over."""

    when: float
    handle: asyncio.TimerHandle
    end: Callable[[], object]


class Steering(Protocol):
    """What a client needs of the scheduler that runs it."""

    cut: Cut | None
    follows: bool

    async def arrive(self, client: Client, text: str | None, kind: MomentKind) -> None: ...

    def may_die(self, client: Client, when: Literal["before", "after"]) -> None: ...

    def note(self, number: int, kind: MomentKind, text: str) -> None: ...

    def follower(self, task: asyncio.Task[Any] | None) -> Client | None: ...

    async def hold(self, client: Client) -> None: ...


@dataclass(slots=True, eq=False)
class Client:
    """One client of a run, as the scheduler sees it."""

    number: int
    scheduler: Steering
    task: asyncio.Task[None] | None = None
    state: Literal["moving", "ready", "asleep", "done"] = "moving"
    grant: asyncio.Future[None] | None = None
    fresh: bool = False
    """Its call has begun and executed nothing yet: the first statement goes with the call."""
    session: object = None
    """Of the statement that is being executed, if any."""
    executing: bool = False
    passing: int = 0
    """Round trips under way that are no statements, its own or of tasks it started."""
    waits: bool = False
    """For a lock of another client, in the server or in the process."""
    held: asyncio.Future[None] | None = None
    """It got its lock while another client moves, and goes on when that one has stopped."""
    statements: int = 0
    answers: int = 0
    dead: bool = False
    timers: list[Timer] = field(default_factory=list["Timer"])
    """Its pauses; only a follower's are kept here."""

    @property
    def at_work(self) -> bool:
        """Whether its answer will come from elsewhere, however long the event loop is idle."""
        return self.executing or self.passing > 0 or self.held is not None


_current: ContextVar[Client | None] = ContextVar("storeproof_client", default=None)
_quiet: ContextVar[bool] = ContextVar("storeproof_quiet", default=False)


def controlled() -> bool:
    """Whether the running task is a client of a schedule. Tasks that a client started are not: nobody steers them."""
    return _client() is not None


async def point(text: str, kind: MomentKind = "statement") -> None:
    """Here another client may go first. `text` is for people."""
    client = _client()
    if client is not None:
        await client.scheduler.arrive(client, text, kind)


def orphaned() -> bool:
    """Whether a client started the running task and is dead: with its process the task would be gone too."""
    client = _current.get()
    return client is not None and client.dead


@asynccontextmanager
async def executing(session: object = None, lost: Callable[[], Exception] | None = None) -> AsyncGenerator[None]:
    """Around a statement, after its `point`. Raises Died where the client is cut before or after it.

    `lost` breaks the connection and makes the driver's error; without it no answer gets lost here.
    """
    client = _client()
    if client is None:
        if orphaned():
            raise Died
        yield
        return
    client.scheduler.may_die(client, "before")
    client.session, client.executing = session, True
    try:
        yield
    finally:
        client.session, client.executing = None, False
        if client.waits:
            await client.scheduler.hold(client)
    client.scheduler.may_die(client, "after")
    client.statements += 1
    if client.scheduler.follows:
        await client.scheduler.arrive(client, None, "statement")
    if lost is not None and client.scheduler.cut == Cut(client.number, client.statements - 1, "lost"):
        client.scheduler.note(client.number, "lost", "")
        raise lost()


@asynccontextmanager
async def passing(session: object = None) -> AsyncGenerator[None]:
    """Around a round trip that is no statement: BEGIN, ROLLBACK, what a pool does with a connection. Nothing inside is
    a point.

    Also in a task that a client started. Without it a client that waits for such an answer would be taken to wait for
    another client, now and then: whether it has come after so many passes of the event loop is a matter of time.
    """
    client = _current.get()
    if client is None or _quiet.get():
        yield
        return
    token = _quiet.set(True)
    client.passing += 1
    if not client.executing:
        client.session = session
    try:
        yield
    finally:
        client.passing -= 1
        _quiet.reset(token)


def begun_by(client: Client) -> Token[Client | None]:
    """From here on tasks that are created are the client's; `over` ends that."""
    return _current.set(client)


def over(token: Token[Client | None]) -> None:
    """The end of what `begun_by` began."""
    _current.reset(token)


def starter() -> Client | None:
    """The client that started the running task, be it its own or another; None inside of `passing`."""
    return None if _quiet.get() else _current.get()


def _client() -> Client | None:
    if _quiet.get():
        return None
    client = _current.get()
    if client is None:
        return None
    task = asyncio.current_task()
    return client if task is client.task else client.scheduler.follower(task)


REAL_SLEEP = asyncio.sleep


@contextmanager
def sleeps_are_points() -> Generator[None]:
    """A pause before a retry takes no time here: whatever may happen during it happens before it ends."""

    async def sleep(delay: float, result: object = None) -> object:
        if not controlled():
            return await REAL_SLEEP(delay, result)
        await point("", "sleep")
        return result

    asyncio.sleep = sleep  # type: ignore[assignment]
    try:
        yield
    finally:
        asyncio.sleep = REAL_SLEEP
