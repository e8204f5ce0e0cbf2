"""SQLite stores that do the wrong thing when an answer is lost, or answer before the work is done."""

import asyncio
from typing import Any

from storeproof.adapters.d1.binding import D1Binding, Statement
from storeproof.adapters.d1.codec import encoded
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.errors import StoreUnavailable
from tests.races import Racy, racy
from tests.races_sqlite_statements import HandwrittenStore, Noticed


class CreateAgainWhenLost(HandwrittenStore):
    """createRun begins again when the database fails. The batch was done and its answer lost: one call creates the run
    and answers "existing".
    """

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        try:
            return await super().create_run(**given)
        except StoreUnavailable:
            return await super().create_run(**given)


class DeliverAgainWhenLost(HandwrittenStore):
    """deliverSignal begins again when the database fails. The batch was done and its answer lost: one call delivers and
    answers "duplicate".
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        try:
            return await super().deliver_signal(**given)
        except StoreUnavailable:
            return await super().deliver_signal(**given)


class AppendAgainWhenLost(HandwrittenStore):
    """appendEvents begins again when the database fails. The batch was done and its answer lost: one call appends and
    raises a conflict with its own event.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except StoreUnavailable:
            return await super().append_events(**given)


WINDOW_S = 0.02
"""How long after its answer a write is made, in seconds."""


class _WritesBehind(HandwrittenStore):
    """Leaves a write to a task and answers; its own later batches wait for it, so one client never notices."""

    def __init__(self, database: D1Binding, **options: Any) -> None:
        super().__init__(Noticed(database, self._settle), **options)
        self._behind: asyncio.Task[None] | None = None
        self._direct = database

    async def _settle(self) -> None:
        if self._behind is not None:
            await asyncio.wait([self._behind])

    async def close(self) -> None:
        await self._settle()
        await super().close()

    async def write_behind(self, statement: Statement) -> None:
        """Runs the statement after the answer."""
        await self._settle()

        async def work() -> None:
            await asyncio.sleep(WINDOW_S)  # for others that could go with it
            await self._direct.batch([statement])

        self._behind = asyncio.create_task(work())
        # A failure is nobody's to see, which is the defect and not a warning of asyncio's.
        self._behind.add_done_callback(lambda task: task.cancelled() or task.exception())


class FinishAnswersFirst(_WritesBehind):
    """markRunFinished answers, and a task writes a moment later. Another client still sees the run running; a process
    killed after the answer loses the output.
    """

    async def mark_run_finished(self, **given: Any) -> None:
        args = checked(shapes.MarkRunFinishedArguments, **given)
        await self.write_behind((self.of_runs.finish, (args.run_id, encoded(args.output), args.now)))


_TWICE = ("atomic.acknowledged", "retry.converges")

FAULTS: tuple[Racy, ...] = (
    racy(CreateAgainWhenLost, "createRun.existing", "createRun.created", *_TWICE, kind="cut"),
    racy(DeliverAgainWhenLost, "deliverSignal.duplicate", "deliverSignal.delivered", *_TWICE, kind="cut"),
    racy(AppendAgainWhenLost, "appendEvents.conflict", "appendEvents.appended", *_TWICE, kind="cut"),
    racy(FinishAnswersFirst, "atomic.acknowledged", "markRunFinished.finished", kind="cut"),
)
