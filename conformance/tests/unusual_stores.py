"""Right stores that do things their own way: each must raise no alarm but the one it is expected to raise."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.targets import Reopenable
from storeproof.spec import types as t
from storeproof.spec.jsonvalues import is_array, is_object
from tests.broken import Broken, broken
from tests.broken_answers import Opened


@asynccontextmanager
async def durable() -> AsyncGenerator[Reopenable, None]:
    """A right one."""
    kept = MemoryStore()
    yield Reopenable(lambda: Opened(kept))


class KeysOnTheirHead(MemoryStore):
    """Keeps JSON with its keys in another order, which ruling 5 leaves free."""

    async def load_run(self, *, run_id: str) -> t.Run | None:
        run = await super().load_run(run_id=run_id)
        return None if run is None else t.Run.model_validate(_reversed(run.to_wire()))


class TupleAnswers(MemoryStore):
    """Answers a tuple where others answer a list."""

    async def read_events(self, **given: Any) -> Any:
        return tuple(await super().read_events(**given))

    async def list_runs(self, **given: Any) -> Any:
        return tuple(await super().list_runs(**given))


class MoreMethods(MemoryStore):
    """Offers more than the protocol, and more than it has to be asked for."""

    async def count_runs(self) -> int:
        return len(self._runs)

    async def load_run(self, *, run_id: str, hint: str = "") -> t.Run | None:
        return await super().load_run(run_id=run_id)


class WholeNumbersAsDoubles(MemoryStore):
    """Binds numbers as doubles: 5 comes back as 5.0, which is the same number (ruling 19)."""

    async def mark_run_finished(self, *, output: Any, **given: Any) -> None:
        double = float(output) if output.__class__ is int and abs(output) < 2**53 else output
        await super().mark_run_finished(output=double, **given)


class TiesByArrival(MemoryStore):
    """Breaks ties of listRuns by arrival, which a SHOULD speaks against: shown, and the store conforms."""

    def _runs_by_update(self, wanted: rows.Row) -> list[rows.Row]:
        known = {run["runId"]: run for run in super()._runs_by_update(wanted)}
        return sorted((known[key] for key in self._runs if key in known), key=lambda run: -run["updatedAt"])


class NoSubscriptions(MemoryStore):
    """subscribeEvents is optional."""

    @property
    def subscribe_events(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise AttributeError("subscribe_events")


def _reversed(value: Any) -> Any:
    if is_object(value):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if is_array(value) else value


UNUSUAL: tuple[Broken, ...] = (
    broken(MemoryStore, "nothing"),
    broken(durable, "a durable one"),
    broken(KeysOnTheirHead, "another order of keys"),
    broken(TupleAnswers, "tuples for lists"),
    broken(MoreMethods, "more methods and parameters"),
    broken(WholeNumbersAsDoubles, "5.0 for 5"),
    broken(NoSubscriptions, "no subscriptions"),
    broken(TiesByArrival, "ties by arrival", "listRuns.ties", "ids.order"),
)
"""`expected` holds the SHOULD rules that such a store may be said to break."""
