"""Stores that confuse or order ids in their own way, or look at their own clock."""

import time
import unicodedata
from collections.abc import Callable
from typing import Any

from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from tests.broken import Broken, broken


class _Ids(MemoryStore):
    """Every run id goes through `key` before it is looked up."""

    def __init__(self, key: Any) -> None:
        super().__init__()
        self._runs = _Keyed(key)


class _Keyed(dict[Any, Any]):
    """A dict whose keys are confused in one way."""

    def __init__(self, key: Any, given: Any = ()) -> None:
        super().__init__({key(name): value for name, value in dict(given).items()})
        self._key = key

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(self._key(name))

    def __setitem__(self, name: Any, value: Any) -> None:
        super().__setitem__(self._key(name), value)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._key(name))

    def get(self, name: Any, default: Any = None) -> Any:
        return super().get(self._key(name), default)

    def pop(self, name: Any, *default: Any) -> Any:
        return super().pop(self._key(name), *default)


class JoinedTimerKeys(MemoryStore):
    async def schedule_timer(self, *, run_id: str, signal_id: str, **given: Any) -> None:
        await super().schedule_timer(run_id=run_id, signal_id=signal_id, **given)
        same = [key for key in self._timers if ":".join(key) == f"{run_id}:{signal_id}" and key != (run_id, signal_id)]
        for key in same:
            del self._timers[key]


class JoinedDeliveries(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        return super()._delivery_kind((f"{key[0]}:{key[2]}", key[1], ""), waiting=waiting)


class OrderIgnoresCase(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        runs = super()._runs_by_update(wanted)
        return sorted(runs, key=lambda run: (-run["updatedAt"], run["runId"].lower(), run["runId"]))


class OrderByUtf16(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        runs = super()._runs_by_update(wanted)
        return sorted(runs, key=lambda run: (-run["updatedAt"], run["runId"].encode("utf-16-be")))


class OrderOfTimersIgnoresCase(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = super()._due_timers(owner, now)
        return sorted(due, key=lambda row: (row["wakeAt"], row["runId"].lower(), row["signalId"].lower()))


class OwnClockForLeases(MemoryStore):
    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        return MemoryStore._lease_is_free(row, owner, now if now < 10**11 else max(now, int(time.time() * 1000)))


class OwnClockForDue(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        return [row for row in super()._due_timers(owner, now) if row["wakeAt"] <= time.time() * 1000]


class OwnClockForUpdate(MemoryStore):
    """Takes the given time only while it is not ahead of the store's own."""

    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        MemoryStore._queue_again(run, min(now, int(time.time() * 1000)))


class OwnClockForOldRuns(MemoryStore):
    """Ended runs of a day ago are no longer listed."""

    def _runs_by_update(self, wanted: Row) -> list[Row]:
        day_ago = time.time() * 1000 - 86_400_000
        return [run for run in super()._runs_by_update(wanted) if not 10**11 < run["updatedAt"] < day_ago]


def _text(key: Callable[[str], Any]) -> Callable[[Any], Any]:
    def keyed(name: Any) -> Any:
        return key(name) if isinstance(name, str) else name

    return keyed


IDS: tuple[Broken, ...] = (
    broken(lambda: _Ids(_text(str.lower)), "run ids ignore case", "ids.opaque", name="IdsLowered"),
    broken(lambda: _Ids(_text(str.strip)), "run ids are trimmed", "ids.opaque", name="IdsTrimmed"),
    broken(
        lambda: _Ids(_text(lambda name: unicodedata.normalize("NFC", name))),
        "run ids are normalised",
        "ids.opaque",
        name="IdsComposed",
    ),
    broken(lambda: _Ids(_text(lambda name: name[:255])), "run ids are cut", "ids.length", name="IdsCut"),
    broken(
        lambda: _Ids(_text(lambda name: name.encode()[:255])), "run ids are cut", "ids.length", name="IdsCutByBytes"
    ),
    broken(JoinedTimerKeys, "timers are keyed by joined ids", "ids.opaque"),
    broken(JoinedDeliveries, "deliveries are keyed by joined ids", "ids.opaque", "deliverSignal.not-waiting"),
    broken(OrderIgnoresCase, "runs are ordered without regard to case", "ids.order", "listRuns.ties"),
    broken(OrderByUtf16, "runs are ordered by UTF-16", "ids.order", "listRuns.ties"),
    broken(OrderOfTimersIgnoresCase, "timers are ordered without regard to case", "ids.order", "claimDueTimers.ties"),
    broken(OwnClockForLeases, "leases end by the store's own clock", "clock.given"),
    broken(OwnClockForDue, "timers are due by the store's own clock", "clock.given", "values.times"),
    broken(OwnClockForUpdate, "updatedAt is at most the store's own time", "clock.given"),
    broken(OwnClockForOldRuns, "runs of yesterday are not listed", "clock.given"),
)
