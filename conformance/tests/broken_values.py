"""Stores that alter values, texts, numbers or times, or refuse what they have to keep."""

import json
import math
import unicodedata
from typing import Any

from pydantic import MISSING
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.jsonvalues import is_array, is_object
from tests.broken import Broken, broken, wire


def _altering(name: str, alter: Any) -> type[MemoryStore]:
    """A store that changes every output it is given."""

    class Altering(MemoryStore):
        async def mark_run_finished(self, *, output: Any, **given: Any) -> None:
            await super().mark_run_finished(output=_changed(output, alter), **given)

        async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
            return await super().create_run(input=_changed(input, alter), **given)

    Altering.__name__ = name
    return Altering


def _changed(value: Any, alter: Any) -> Any:
    if is_object(value):
        return alter({key: _changed(item, alter) for key, item in value.items()})
    if is_array(value):
        return alter([_changed(item, alter) for item in value])
    return alter(value)


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _without_nulls(value: Any) -> Any:
    return {key: item for key, item in value.items() if item is not None} if is_object(value) else value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _digits(value: Any) -> Any:
    return float(f"{value:.15g}") if isinstance(value, float) and _number(value) else value


def _no_tiny(value: Any) -> Any:
    return 0 if _number(value) and 0 < abs(value) < 1e-300 else value


def _single(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, int) and _number(value) and abs(value) > 2**32 else value


def _boolean_is_number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _composed(value: Any) -> Any:
    return unicodedata.normalize("NFC", value) if isinstance(value, str) and value.isprintable() else value


def _emptied(value: Any) -> Any:
    return None if value in ({}, []) else value


class TextTrimmed(MemoryStore):
    async def mark_run_errored(self, *, error: Any, **given: Any) -> None:
        fields = wire(error).items()
        plain = {key: item.strip() if isinstance(item, str) and item.isprintable() else item for key, item in fields}
        await super().mark_run_errored(error=plain, **given)


class TextNotEmpty(MemoryStore):
    async def create_run(self, *, workflow_version: Any = MISSING, **given: Any) -> t.CreateRunResult:
        if workflow_version == "":
            raise InvalidArgument("workflowVersion", "must not be empty")
        return await super().create_run(workflow_version=workflow_version, **given)


class TitleEscaped(MemoryStore):
    async def mark_run_paused(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_paused(run_id=run_id, **given)
        wait = self._runs.get(run_id, {}).get("pendingApproval")
        if wait:
            wait["title"] = wait["title"].replace("%", "%%")


class VersionComposed(MemoryStore):
    async def create_run(self, *, workflow_version: Any = MISSING, **given: Any) -> t.CreateRunResult:
        return await super().create_run(workflow_version=_composed(workflow_version), **given)


class NoncharactersRefused(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        if isinstance(input, str) and ("\ufffe" in input or "\uffff" in input):
            raise InvalidArgument("input", "holds a noncharacter")
        return await super().create_run(input=input, **given)


class DepthLimit(MemoryStore):
    async def mark_run_finished(self, *, output: Any, **given: Any) -> None:
        if _depth(output) > 32:
            raise InvalidArgument("output", "nested more than 32 levels deep")
        await super().mark_run_finished(output=output, **given)


class SizeLimit(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        if isinstance(input, str) and len(input) > 65_536:
            raise InvalidArgument("input", "more than 64 KiB")
        return await super().create_run(input=input, **given)


class SizeCut(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        return await super().create_run(input=input[:65_536] if isinstance(input, str) else input, **given)


class IndexOf32Bits(MemoryStore):
    async def append_events(self, *, expected_next_index: int, **given: Any) -> t.AppendEventsResult:
        if expected_next_index.__class__ is int and 2**31 <= expected_next_index <= 2**53:
            raise OverflowError("integer out of range")
        return await super().append_events(expected_next_index=expected_next_index, **given)


class TimeOf32Bits(MemoryStore):
    async def schedule_timer(self, *, wake_at: int, **given: Any) -> None:
        small = wake_at & 0xFFFFFFFF if wake_at.__class__ is int and 0 <= wake_at < 2**53 else wake_at
        await super().schedule_timer(wake_at=small, **given)


class FromIndexOf32Bits(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        small = from_index & 0x7FFFFFFF if from_index.__class__ is int and 0 < from_index < 2**53 else from_index
        return await super().read_events(run_id=run_id, from_index=small)


def _depth(value: Any) -> int:
    if is_object(value):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if is_array(value) else 0


_JSON = ("values.json", "createRun.created", "markRunFinished.finished")
_NUMBERS = ("values.numbers",)

VALUES: tuple[Broken, ...] = (
    broken(_altering("StringsParsed", _parsed), "JSON inside strings is parsed", *_JSON),
    broken(_altering("NullsDropped", _without_nulls), "null fields of JSON are dropped", *_JSON),
    broken(_altering("EmptyIsNull", _emptied), "empty lists and objects become null", *_JSON),
    broken(_altering("BooleanIsNumber", _boolean_is_number), "true becomes 1", *_JSON),
    broken(_altering("FifteenDigits", _digits), "doubles keep 15 digits", *_NUMBERS),
    broken(_altering("NothingTiny", _no_tiny), "numbers below 1e-300 become 0", *_NUMBERS),
    broken(_altering("LargeRounded", _single), "large integers are rounded", *_NUMBERS, "createRun.created"),
    broken(_altering("Composed", _composed), "strings in JSON are normalised", "values.text"),
    broken(TextTrimmed, "texts are trimmed", "values.text"),
    broken(TextNotEmpty, "an empty text is refused", "values.text", "createRun.created", "createRun.existing"),
    broken(TitleEscaped, "percent signs are doubled", "values.text", "markRunPaused.paused"),
    broken(VersionComposed, "versions are normalised", "values.text"),
    broken(NoncharactersRefused, "noncharacters are refused (ruling 18)", "values.text"),
    broken(DepthLimit, "at most 32 levels", "values.size"),
    broken(SizeLimit, "at most 64 KiB", "values.size"),
    broken(SizeCut, "input is cut at 64 KiB", "values.size"),
    broken(IndexOf32Bits, "indexes have 32 bits", "values.times", "appendEvents.gap", "answers.taxonomy"),
    broken(TimeOf32Bits, "times have 32 bits", "values.times", "clock.given"),
    broken(FromIndexOf32Bits, "fromIndex is cut to 31 bits", "values.times", "readEvents.before"),
)
