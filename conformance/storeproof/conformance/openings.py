"""What a drawn program may begin with: states that chance alone rarely reaches, and in which rules meet.

Each step is an operation and the number of the ids it takes from the program's pools; everything else is drawn. Knows
no values.
"""

from __future__ import annotations

from typing import TypeAlias

Opening: TypeAlias = tuple[tuple[str, int], ...]

OPENINGS: tuple[Opening, ...] = (
    (),
    (("createRun", 0), ("createRun", 1), ("createRun", 2)),
    (("createRun", 0), ("markRunPaused", 0), ("claimRun", 0)),
    (("createRun", 0), ("claimRun", 0), ("createRun", 1), ("claimRun", 1)),
    (("createRun", 0), ("markRunPaused", 0), ("scheduleTimer", 0), ("scheduleTimer", 1)),
    (("upsertSchedule", 0), ("upsertSchedule", 1)),
    (("upsertSchedule", 0), ("claimDueScheduleBuckets", 0), ("upsertSchedule", 0)),
)
"""Several runs, a run leased while it waits, leased runs, timers, schedules, a schedule changed while its bucket
stands. The ids of the pools are in no order, so that what arrived first is not what comes first."""
