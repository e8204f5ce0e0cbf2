"""Stores that list runs wrongly."""

from typing import Any

from pydantic import MISSING
from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from tests.broken import Broken, broken


class ListIgnoresStatus(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return super()._runs_by_update(rows.without(wanted, "status"))


class ListIgnoresWorkflow(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return super()._runs_by_update(rows.without(wanted, "workflowId"))


class ListEitherFilter(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        runs = super()._runs_by_update({})
        return [run for run in runs if not wanted or any(run[name] == value for name, value in wanted.items())]


class ListAscending(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return sorted(super()._runs_by_update(wanted), key=lambda run: (run["updatedAt"], run["runId"]))


class ListTiesDescending(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return sorted(super()._runs_by_update(wanted), key=lambda run: (run["updatedAt"], run["runId"]), reverse=True)


class ListByCreation(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return sorted(super()._runs_by_update(wanted), key=lambda run: (-run["createdAt"], run["runId"]))


class CursorOffByOne(MemoryStore):
    async def list_runs(self, *, cursor: Any = MISSING, **given: Any) -> list[t.RunSummary]:
        moved = str(int(cursor) + 1) if isinstance(cursor, str) and cursor.isdecimal() and int(cursor) else cursor
        return await super().list_runs(cursor=moved, **given)


class CursorIsPage(MemoryStore):
    async def list_runs(self, *, limit: int, cursor: Any = MISSING, **given: Any) -> list[t.RunSummary]:
        if (
            isinstance(cursor, str)
            and cursor.isdecimal()
            and limit.__class__ is int
            and limit < 100
            and len(cursor) < 9
        ):
            cursor = str(int(cursor) * limit)
        return await super().list_runs(limit=limit, cursor=cursor, **given)


class CursorBeforeFilter(MemoryStore):
    async def list_runs(self, *, limit: int, cursor: Any = MISSING, status: Any = MISSING, **given: Any) -> Any:
        await super().list_runs(limit=limit, cursor=cursor, status=status, **given)
        page = await super().list_runs(limit=limit, cursor=cursor, **given)
        return [run for run in page if status is MISSING or run.status == status]


class ListZeroIsAll(MemoryStore):
    async def list_runs(self, *, limit: int, **given: Any) -> list[t.RunSummary]:
        return await super().list_runs(limit=1_000 if limit == 0 and limit.__class__ is int else limit, **given)


class ListHidesEnded(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        return [run for run in super()._runs_by_update(wanted) if wanted or run["status"] not in rows.TERMINAL]


class ListWithoutWaits(MemoryStore):
    async def list_runs(self, **given: Any) -> list[t.RunSummary]:
        found = await super().list_runs(**given)
        return [t.RunSummary.model_validate(rows.without(run.to_wire(), "awaiting")) for run in found]


LISTS: tuple[Broken, ...] = (
    broken(ListIgnoresStatus, "listRuns ignores status", "listRuns.other-status"),
    broken(ListIgnoresWorkflow, "listRuns ignores workflowId", "listRuns.other-workflow"),
    broken(ListEitherFilter, "listRuns joins its filters by or", "listRuns.other-status", "listRuns.other-workflow"),
    broken(ListAscending, "listRuns is ascending", "listRuns.order"),
    broken(ListTiesDescending, "listRuns breaks ties by descending id", "listRuns.ties", "ids.order"),
    broken(ListByCreation, "listRuns orders by createdAt", "listRuns.order"),
    broken(CursorOffByOne, "the cursor skips one run too many", "listRuns.cursor", "listRuns.listed"),
    broken(CursorIsPage, "the cursor counts pages", "listRuns.cursor", "listRuns.listed"),
    broken(
        CursorBeforeFilter, "listRuns filters after it cuts", "listRuns.limit", "listRuns.cursor", "listRuns.listed"
    ),
    broken(ListZeroIsAll, "a limit of 0 lists everything", "listRuns.limit"),
    broken(ListHidesEnded, "listRuns hides ended runs", "listRuns.listed"),
    broken(ListWithoutWaits, "listRuns leaves out awaiting", "listRuns.listed"),
)
