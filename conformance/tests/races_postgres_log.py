"""Postgres stores that append or read events, or follow a log, wrongly beside other clients."""

from typing import Any

import psycopg
from pydantic import MISSING
from storeproof.adapters.postgres import codec
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.errors import LogConflict
from storeproof.spec.store import EventCallback, Unsubscribe
from tests import races_subscriptions as subscriptions
from tests.races import Racy, racy
from tests.races_postgres_statements import HandwrittenStore

_APPEND = ("appendEvents.appended", "appendEvents.conflict", "appendEvents.gap")


class _CountsFirst(HandwrittenStore):
    """The first half of a check-then-act append."""

    async def counted(self, args: shapes.AppendEventsArguments) -> t.AppendEventsResult:
        """The answer if all goes well; raises LogConflict if the log has another length."""
        if await self.steps.length(args.run_id) != args.expected_next_index:
            raise await self.conflict(args)
        return t.AppendEventsResult(next_index=args.expected_next_index + len(args.events))

    async def conflict(self, args: shapes.AppendEventsArguments) -> LogConflict:
        standing = await self.steps.standing(args.run_id, args.expected_next_index)
        return LogConflict(args.run_id, args.expected_next_index, standing)


class AppendRowByRow(_CountsFirst):
    """appendEvents counts, then commits one event after the other. A reader sees half of an append; a death leaves
    half of it for ever.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        for place, event in enumerate(args.events):
            added = await self.steps.add_events(
                args.run_id, args.expected_next_index + place, [event], "on conflict do nothing"
            )
            if not added:
                raise await self.conflict(args)
        self._subscriptions.wake(args.run_id)
        return answer


class AppendLost(_CountsFirst):
    """appendEvents counts, then inserts what is not there yet. Two clients append at one index: both are answered, and
    the second one's events are nowhere.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        await self.steps.add_events(args.run_id, args.expected_next_index, args.events, "on conflict do nothing")
        self._subscriptions.wake(args.run_id)
        return answer


class AppendAtTheEnd(_CountsFirst):
    """appendEvents counts, inserts, and where another append came first tries again at the log's new end: an append
    that should have been a conflict stands at an index nobody expected.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        await self.counted(args)
        first = args.expected_next_index
        while True:
            try:
                await self.bare.add_events(args.run_id, first, args.events)
            except psycopg.errors.UniqueViolation:
                first = await self.steps.length(args.run_id)
            else:
                self._subscriptions.wake(args.run_id)
                return t.AppendEventsResult(next_index=first + len(args.events))


class AppendGuardedBySnapshot(HandwrittenStore):
    """appendEvents is one statement: it inserts where the log has the length, and what is not there yet. Two appends of
    different size at one index: the longer one waits, then adds its tail to the other's event.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        expected, count = args.expected_next_index, len(args.events)
        fits = f"""where %(first)s = (select coalesce(max(event_index) + 1, 0) from {self.t.events}
                                      where run_id = %(id)s) on conflict do nothing"""
        if count:
            fits_now = await self.steps.add_events(args.run_id, expected, args.events, fits) > 0
        else:
            fits_now = await self.steps.length(args.run_id) == expected
        if not fits_now:
            raise LogConflict(args.run_id, expected, await self.steps.standing(args.run_id, expected))
        self._subscriptions.wake(args.run_id)
        return t.AppendEventsResult(next_index=expected + count)


class ConflictReadsLater(HandwrittenStore):
    """appendEvents finds a conflict, then reads the event that stands there: the log deleted in between, it is a
    conflict with nothing.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        try:
            return await super().append_events(**given)
        except LogConflict as conflict:
            standing = await self.steps.standing(args.run_id, args.expected_next_index)
            raise LogConflict(args.run_id, args.expected_next_index, standing) from conflict


class ReadInPages(HandwrittenStore):
    """readEvents reads page by page, here one event at a time: a log deleted in between comes back in part."""

    async def read_events(self, **given: Any) -> list[t.StoredEvent]:
        args = checked(shapes.ReadEventsArguments, **given)
        position = 0 if args.from_index is MISSING else args.from_index
        events: list[t.StoredEvent] = []
        while page := await self.steps.do(self.of_log.read, run_id=args.run_id, from_index=position, limit=1):
            events += [codec.stored_event(row) for row in page]
            position = events[-1].event_index + 1
        return events


class SubscribeWithGap(HandwrittenStore):
    """subscribeEvents replays, then reads where the log ends and follows from there: an event appended in between is
    given by neither.
    """

    async def subscribe_events(self, *, callback: EventCallback, **given: Any) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, **given)

        async def live(position: int) -> Unsubscribe:
            return await self._subscriptions.subscribe(args.run_id, position, callback)

        read, length = self._log.read_some, self.steps.length
        return await subscriptions.gap(read, length, live, args.run_id, args.from_index, callback)


class SubscribeTwice(HandwrittenStore):
    """subscribeEvents reads where the log ends, replays, then follows from there: an event appended in between is given
    by both.
    """

    async def subscribe_events(self, *, callback: EventCallback, **given: Any) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, **given)

        async def live(position: int) -> Unsubscribe:
            return await self._subscriptions.subscribe(args.run_id, position, callback)

        read, length = self._log.read_some, self.steps.length
        return await subscriptions.twice(read, length, live, args.run_id, args.from_index, callback)


class _OwnFollowers(HandwrittenStore):
    """Follows logs with what `followers` is."""

    followers: subscriptions.Followers

    async def subscribe_events(self, *, callback: EventCallback, **given: Any) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, **given)
        return await self.followers.subscribe(args.run_id, args.from_index, callback)

    async def close(self) -> None:
        await self.followers.close()
        await super().close()


class PollSkips(_OwnFollowers):
    """A subscription reads the new events, then where the log ends, and goes on from there: an event appended in
    between is never given.
    """

    def __init__(self, *given: Any, poll_ms: int = 250, **options: Any) -> None:
        super().__init__(*given, poll_ms=poll_ms, **options)
        self.followers = subscriptions.Followers(self._log.read_some, self.steps.length, poll_ms)


class GivenAfterTheEnd(_OwnFollowers):
    """A subscription hands out what it has read, and unsubscribe does not wait for a read under way: an event comes
    after the answer.
    """

    def __init__(self, *given: Any, poll_ms: int = 250, **options: Any) -> None:
        super().__init__(*given, poll_ms=poll_ms, **options)
        self.followers = subscriptions.Followers(self._log.read_some, None, poll_ms)


_FOLLOW = ("subscribeEvents.once", "subscribeEvents.live", "subscribeEvents.replay")

LOG: tuple[Racy, ...] = (
    racy(AppendRowByRow, "reads.snapshot", "retry.converges", *_APPEND, kind="cut"),
    racy(AppendLost, "atomic.acknowledged", *_APPEND),
    racy(AppendAtTheEnd, *_APPEND),
    racy(AppendGuardedBySnapshot, *_APPEND),
    racy(ConflictReadsLater, "appendEvents.conflict", "appendEvents.gap"),
    racy(ReadInPages, "reads.snapshot", "readEvents.read"),
    racy(SubscribeWithGap, *_FOLLOW, kind="subscription"),
    racy(SubscribeTwice, *_FOLLOW, kind="subscription"),
    racy(PollSkips, *_FOLLOW, kind="subscription"),
    racy(GivenAfterTheEnd, "subscribeEvents.unsubscribed", kind="subscription"),
)
