"""A store behind the wire as the checks of several clients and of subscriptions use one.

Outcomes go straight through, with no model of pydantic in between: what an answer has too much or too little is for the
judge to see. Only the scenes of subscriptions get the few methods of a Python store that they call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NoReturn

from storeproof.conformance.programs import Arguments
from storeproof.conformance.runner import NOT_CARRIED
from storeproof.conformance.wireclient import WireClient
from storeproof.conformance.wireintroduction import Introduction
from storeproof.reference.model import Outcome, Raised
from storeproof.spec.errors import ConformanceError, InvalidArgument, LogConflict, StoreUnavailable
from storeproof.spec.jsonvalues import is_array, is_object


class WireStore:
    """What a client of a stage has: `call`, `answer`, and `store` for scenes of subscriptions."""

    def __init__(self, client: WireClient, introduction: Introduction) -> None:
        self.store = WireFeed(client, introduction)
        self._client = client

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call. Raises ProtocolError, also where no answer comes: a hang is not told from a lost message."""
        try:
            return await self._client.call(operation, args)
        except ValueError as error:
            return Raised(NOT_CARRIED, {"message": str(error)})

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """The same: nobody holds up a call over the wire on purpose."""
        return await self.call(operation, args)


class LogRow:
    """A stored event as it came; what it has too much is for the judge of readEvents to see."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.event: dict[str, Any] = row["event"]
        self.event_index: int = row["eventIndex"]
        self._row = row

    def to_wire(self) -> dict[str, Any]:
        """As it came."""
        return self._row


class WireFeed:
    """The log and its subscriptions, as the scenes of subscriptions call them on a Python store."""

    def __init__(self, client: WireClient, introduction: Introduction) -> None:
        self.subscribe_delay_ms = introduction.subscribe_delay_ms
        self._client = client

    async def append_events(self, *, run_id: str, expected_next_index: int, events: list[dict[str, Any]]) -> None:
        """Raises what the store answers instead of a result."""
        args = {"runId": run_id, "expectedNextIndex": expected_next_index, "events": events}
        outcome = await self._client.call("appendEvents", args)
        if isinstance(outcome, Raised):
            _raise(outcome)

    async def read_events(self, *, run_id: str) -> list[LogRow]:
        """The log. Raises what the store answers instead, and ConformanceError for another shape."""
        outcome = await self._client.call("readEvents", {"runId": run_id})
        if isinstance(outcome, Raised):
            _raise(outcome)
        rows: Any = outcome.value
        if not is_array(rows) or not all(is_object(row) and {"event", "eventIndex"} <= row.keys() for row in rows):
            raise ConformanceError(f"readEvents answered {rows!r:.200}")
        return [LogRow(row) for row in rows]

    async def subscribe_events(
        self, *, callback: Callable[[dict[str, Any], int], None], **keywords: Any
    ) -> Callable[[], Awaitable[None]]:
        """The function that ends the subscription. `keywords` may be wrong on purpose."""
        names = {"run_id": "runId", "from_index": "fromIndex"}
        subscription = f"s{next(_numbers)}"
        params = {names.get(name, name): value for name, value in keywords.items()}
        outcome = await self._client.subscribe(subscription, params, callback)
        if isinstance(outcome, Raised):
            _raise(outcome)

        async def unsubscribe() -> None:
            ended = await self._client.unsubscribe(subscription)
            if isinstance(ended, Raised):
                _raise(ended)

        return unsubscribe


_numbers = count(1)
"""No name is used twice, so that an event which comes too late is known for what it is."""


def _raise(outcome: Raised) -> NoReturn:
    data = outcome.data
    if outcome.name == "InvalidArgument":
        raise InvalidArgument(data["field"], data["message"])
    if outcome.name == "LogConflict":
        raise LogConflict(str(data.get("runId")), data.get("attemptedIndex", -1), data.get("existing"))
    if outcome.name == "StoreUnavailable":
        raise StoreUnavailable(data["message"], retryable=data["retryable"])
    raise ConformanceError(f"{outcome.name}: {data['message']}")
