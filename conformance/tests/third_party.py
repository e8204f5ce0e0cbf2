"""Small stores as other people write them: one document in a table, read, changed and written back in a transaction.

What changes the document is MemoryStore; how it is read and written is the point. Each comes right and wrong: `locks`
says whether the document stays locked from the read to the write.
"""

import asyncio
import base64
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiosqlite
import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.targets import Reopenable

_PARTS = ("_runs", "_states", "_logs", "_timers", "_delivered", "_schedules", "_buckets")
Change = Callable[[MemoryStore], Awaitable[Any]]


def packed(store: MemoryStore) -> str:
    return base64.b64encode(pickle.dumps([getattr(store, part) for part in _PARTS])).decode()


def unpacked(document: str) -> MemoryStore:
    store = MemoryStore()
    for part, value in zip(_PARTS, pickle.loads(base64.b64decode(document)), strict=True):
        setattr(store, part, value)
    return store


class DocumentStore:
    """Every operation is a change of the document; a subclass knows the database."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "subscribe_events" or not hasattr(MemoryStore, name):
            raise AttributeError(name)

        async def operation(**given: Any) -> Any:
            return await self.changed(lambda store: getattr(store, name)(**given))

        return operation

    async def changed(self, change: Change) -> Any:
        raise NotImplementedError


async def after(document: str, change: Change) -> tuple[Any, str]:
    store = unpacked(document)
    answer = await change(store)
    return answer, packed(store)


class EngineStore(DocumentStore):
    """SQLAlchemy, on Postgres with psycopg or asyncpg, or on SQLite, where the first write locks the file."""

    def __init__(self, engine: AsyncEngine, locks: bool) -> None:
        self.engine = engine
        self.locks = locks

    async def __aenter__(self) -> "EngineStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.dispose()

    async def changed(self, change: Change) -> Any:
        sqlite = self.engine.dialect.name == "sqlite"
        async with self.engine.begin() as connection:
            if self.locks and sqlite:
                await connection.execute(text("update document set kept = kept"))
            lock = " for update" if self.locks and not sqlite else ""
            found = await connection.execute(text(f"select kept from document{lock}"))
            kept = found.scalar_one()
            answer, kept = await after(kept, change)
            await connection.execute(text("update document set kept = :kept"), {"kept": kept})
        return answer


class AsyncpgStore(DocumentStore):
    """asyncpg and its pool; the wrong one without a transaction."""

    def __init__(self, pool: Any, locks: bool) -> None:
        self.pool = pool
        self.locks = locks

    async def changed(self, change: Change) -> Any:
        async with self.pool.acquire() as connection:
            if not self.locks:
                answer, kept = await after(await connection.fetchval("select kept from document"), change)
                await connection.execute("update document set kept = $1", kept)
                return answer
            async with connection.transaction():
                answer, kept = await after(await connection.fetchval("select kept from document for update"), change)
                await connection.execute("update document set kept = $1", kept)
                return answer


class AiosqliteStore(DocumentStore):
    """aiosqlite with transactions by hand, one at a time on its connection; the wrong one without."""

    def __init__(self, connection: aiosqlite.Connection, locks: bool) -> None:
        self.connection = connection
        self.locks = locks
        self.lock = asyncio.Lock()

    async def changed(self, change: Change) -> Any:
        if not self.locks:
            return await self._changed(change)
        async with self.lock:
            return await self._changed(change)

    async def _changed(self, change: Change) -> Any:
        if self.locks:
            await self.connection.execute("begin immediate")
        try:
            async with self.connection.execute("select kept from document") as cursor:
                found: Any = await cursor.fetchone()
            answer, kept = await after(found[0], change)
            await self.connection.execute("update document set kept = ?", (kept,))
        except BaseException:
            if self.connection.in_transaction:
                await self.connection.rollback()
            raise
        if self.locks:
            await self.connection.commit()
        return answer


class SleepingStore(DocumentStore):
    """In memory, with a pause between the read and the write."""

    def __init__(self, locks: bool) -> None:
        self.document = packed(MemoryStore())
        self.lock = asyncio.Lock() if locks else None

    async def changed(self, change: Change) -> Any:
        if self.lock is None:
            return await self._changed(change)
        async with self.lock:
            return await self._changed(change)

    async def _changed(self, change: Change) -> Any:
        document = self.document
        await asyncio.sleep(0)
        answer, self.document = await after(document, change)
        return answer


class FollowedStore(MemoryStore):
    """In memory, with subscribers who are told of an append by the append. Each has one pause.

    The wrong one registers a subscriber after the pause that follows the replay.
    """

    def __init__(self, gap: bool) -> None:
        super().__init__()
        self.gap = gap
        self.callbacks: list[Callable[[dict[str, Any], int], None]] = []

    async def append_events(self, **given: Any) -> Any:
        answer = await super().append_events(**given)
        for index, event in enumerate(given["events"], given["expected_next_index"]):
            for callback in list(self.callbacks):
                callback(event, index)
        return answer

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: Any) -> Any:
        def live(event: dict[str, Any], index: int) -> None:
            if index >= from_index:
                callback(event, index)

        if not self.gap:
            await asyncio.sleep(0)
        for stored in await self.read_events(run_id=run_id, from_index=from_index):
            callback(stored.event, stored.event_index)
        if self.gap:
            await asyncio.sleep(0)
        self.callbacks.append(live)

        async def unsubscribe() -> None:
            if live in self.callbacks:
                self.callbacks.remove(live)

        return unsubscribe


def followed(gap: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[FollowedStore]:
        yield FollowedStore(gap)

    return factory


@asynccontextmanager
async def _postgres_document(name: str) -> AsyncGenerator[str]:
    """A table of its own in a schema of its own; answers the URL whose search path leads there."""
    schema = f"third_{name}"
    connection = await asyncpg.connect(embedded_url())
    try:
        await connection.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
        await connection.execute(f"create table {schema}.document (kept text)")
        await connection.execute(f"insert into {schema}.document values ($1)", packed(MemoryStore()))
        yield schema
    finally:
        await connection.execute(f"drop schema {schema} cascade")
        await connection.close()


def on_psycopg(locks: bool) -> Callable[[], Any]:
    return _on_engine("psycopg", locks, lambda schema: {"options": f"-c search_path={schema}"})


def on_sqlalchemy_asyncpg(locks: bool) -> Callable[[], Any]:
    return _on_engine("asyncpg", locks, lambda schema: {"server_settings": {"search_path": schema}})


def _on_engine(driver: str, locks: bool, settings: Callable[[str], dict[str, Any]]) -> Callable[[], Any]:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        async with _postgres_document(f"{driver}_{locks}".lower()) as schema:
            url = embedded_url().replace("postgresql://", f"postgresql+{driver}://")
            yield Reopenable(
                lambda: EngineStore(create_async_engine(url, connect_args=settings(schema), pool_size=1), locks)
            )

    return factory


def on_asyncpg(locks: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def opened(schema: str) -> AsyncGenerator[AsyncpgStore]:
        settings = {"search_path": schema}
        async with asyncpg.create_pool(embedded_url(), min_size=1, max_size=1, server_settings=settings) as pool:
            yield AsyncpgStore(pool, locks)

    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        async with _postgres_document(f"raw_{locks}".lower()) as schema:
            yield Reopenable(lambda: opened(schema))

    return factory


async def _sqlite_document(path: Path) -> None:
    async with aiosqlite.connect(path) as connection:
        await connection.execute("create table document (kept text)")
        await connection.execute("insert into document values (?)", (packed(MemoryStore()),))
        await connection.commit()


def on_aiosqlite(locks: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[AiosqliteStore]:
        async with aiosqlite.connect(path, isolation_level=None) as connection:
            yield AiosqliteStore(connection, locks)

    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "store.db"
            await _sqlite_document(path)
            yield Reopenable(lambda: opened(path))

    return factory


def on_sqlalchemy_aiosqlite(locks: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "store.db"
            await _sqlite_document(path)
            yield Reopenable(lambda: EngineStore(create_async_engine(f"sqlite+aiosqlite:///{path}"), locks))

    return factory


def in_memory(locks: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[SleepingStore]:
        yield SleepingStore(locks)

    return factory


class TwoRowsStore:
    """Locks two rows, client `a` in one order and all others in the other, and holds them to the end."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def __aenter__(self) -> "TwoRowsStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.dispose()

    async def load_run(self, *, run_id: str) -> None:
        async with self.engine.begin() as connection:
            for row in (1, 2) if run_id == "a" else (2, 1):
                await connection.execute(text("update two set n = n + 1 where id = :row"), {"row": row})


def on_two_rows(driver: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        async with _postgres_document(f"two_{driver}") as schema:
            settings = {"psycopg": {"options": f"-c search_path={schema}"}}
            given = settings.get(driver, {"server_settings": {"search_path": schema}})
            url = embedded_url().replace("postgresql://", f"postgresql+{driver}://")
            engine = create_async_engine(url, connect_args=given)
            async with engine.begin() as connection:
                await connection.execute(text("create table two (id int primary key, n int)"))
                await connection.execute(text("insert into two values (1, 0), (2, 0)"))
            await engine.dispose()
            yield Reopenable(lambda: TwoRowsStore(create_async_engine(url, connect_args=given)))

    return factory


FACTORIES = {
    made.__name__.removeprefix("on_"): made
    for made in (on_psycopg, on_sqlalchemy_asyncpg, on_asyncpg, on_aiosqlite, on_sqlalchemy_aiosqlite, in_memory)
}
