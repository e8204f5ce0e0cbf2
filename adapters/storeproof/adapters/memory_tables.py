"""What the memory store holds, and the rules that several of its operations share.

Each rule is a small method of its own, so that a test can break one and see that the kit notices. Knows no operation.
"""

from __future__ import annotations

from typing import Literal

from storeproof.adapters.memory_rows import WAITS, Row, approval_waits, signal_waits, without
from storeproof.adapters.memory_subscribers import Subscribers
from storeproof.spec.types import Status


class Tables:
    """The seven relations of the contract as dicts by key."""

    def __init__(self) -> None:
        self._runs: dict[str, Row] = {}
        self._states: dict[str, Row] = {}
        self._logs: dict[str, list[Row]] = {}
        # Pairs as keys and never joined strings: ids may hold any separator (ruling 4).
        self._timers: dict[tuple[str, str], Row] = {}
        self._delivered: set[tuple[str, str, str]] = set()
        self._schedules: dict[str, Row] = {}
        self._buckets: dict[tuple[str, str], Row] = {}
        self._subscribers = Subscribers()

    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        """There is none, the owner holds it, or it has ended by `now`."""
        held = row.get("lease")
        return held is None or held["owner"] == owner or held["expiresAt"] <= now

    @staticmethod
    def _holds_lease(run: Row, owner: str) -> bool:
        return "lease" in run and run["lease"]["owner"] == owner

    # Which rows an operation takes, in the contract's order. Strings of Python compare by code point (ruling 7).

    def _stale_runs(self, now: int) -> list[Row]:
        """Running with a lease that has ended by `now`; by updatedAt, runId."""
        running = [run for run in self._runs.values() if run["status"] == "running" and "lease" in run]
        stale = [run for run in running if run["lease"]["expiresAt"] <= now]
        return sorted(stale, key=lambda run: (run["updatedAt"], run["runId"]))

    def _due_timers(self, owner: str, now: int) -> list[Row]:
        """To wake by `now` and with a lease free for `owner`; by wakeAt, runId, signalId."""
        due = [timer for timer in self._timers.values() if timer["wakeAt"] <= now]
        free = [timer for timer in due if self._lease_is_free(timer, owner, now)]
        return sorted(free, key=lambda timer: (timer["wakeAt"], timer["runId"], timer["signalId"]))

    def _due_schedules(self, now: int) -> list[Row]:
        """Enabled and to fire by `now`; by nextFireAt, scheduleId."""
        enabled = [row for row in self._schedules.values() if row["enabled"] and "nextFireAt" in row]
        due = [schedule for schedule in enabled if schedule["nextFireAt"] <= now]
        return sorted(due, key=lambda schedule: (schedule["nextFireAt"], schedule["scheduleId"]))

    def _runs_by_update(self, wanted: Row) -> list[Row]:
        """Those whose fields equal the wanted ones; by updatedAt descending, then runId ascending."""
        runs = [run for run in self._runs.values() if all(run[name] == value for name, value in wanted.items())]
        return sorted(runs, key=lambda run: (-run["updatedAt"], run["runId"]))

    # Waits and deliveries

    def _delivery_kind(
        self, key: tuple[str, str, str], *, waiting: bool
    ) -> Literal["delivered", "duplicate", "not-waiting"]:
        """What becomes of a delivery to a run that exists; remembers it if it is delivered."""
        if key in self._delivered:
            return "duplicate"
        if not waiting:
            return "not-waiting"
        self._delivered.add(key)
        return "delivered"

    @staticmethod
    def _waits_for_signal(run: Row, signal: Row) -> bool:
        """A wait has the signal's name, and its step id too where both give one."""
        for wait in signal_waits(run):
            same_step = "stepId" not in wait or "stepId" not in signal or wait["stepId"] == signal["stepId"]
            if wait["signalName"] == signal["name"] and same_step:
                return True
        return False

    @staticmethod
    def _waits_for_approval(run: Row, approval_id: str) -> bool:
        """By approvalId alone; the step of the wait plays no part (ruling 13)."""
        return any(wait["approvalId"] == approval_id for wait in approval_waits(run))

    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        """What a delivery does to its run: the waits go, the lease stays."""
        for name in WAITS:
            run.pop(name, None)
        run["status"] = "queued"
        run["updatedAt"] = now

    def _leave(self, run_id: str, now: int, status: Status, fields: Row) -> None:
        """What the three marks do: the old waits and the lease go, the given fields come. An unknown run is nothing."""
        run = self._runs.get(run_id)
        if run is not None:
            kept = without(run, *WAITS, "lease")
            self._runs[run_id] = kept | fields | {"status": status, "updatedAt": now}
