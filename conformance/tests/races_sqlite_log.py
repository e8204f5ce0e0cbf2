"""SQLite stores that append or read events, or follow a log, wrongly beside other clients."""

from typing import Any

from pydantic import MISSING
from storeproof.adapters.d1.codec import built, event_fields
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.errors import LogConflict
from storeproof.spec.store import EventCallback, Unsubscribe
from tests import races_subscriptions as subscriptions
from tests.races import Racy, racy
from tests.races_sqlite_statements import HandwrittenStore

_APPEND = ("appendEvents.appended", "appendEvents.conflict", "appendEvents.gap")


class _CountsFirst(HandwrittenStore):
    """The first half of a check-then-act append."""

    async def counted(self, args: shapes.AppendEventsArguments) -> t.AppendEventsResult:
        """The answer if all goes well; raises LogConflict if the log has another length."""
        length, standing = await self.log_at(args.run_id, args.expected_next_index)
        if length != args.expected_next_index:
            raise LogConflict(args.run_id, args.expected_next_index, standing)
        return t.AppendEventsResult(next_index=args.expected_next_index + len(args.events))


class AppendRowByRow(_CountsFirst):
    """appendEvents counts, then commits one event after the other. A reader sees half of an append; a death leaves
    half of it for ever.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        for place, event in enumerate(args.events):
            index = args.expected_next_index + place
            [added] = await self.do(self.add_events(args.run_id, index, [event], "or ignore"))
            if not added:
                standing = (await self.log_at(args.run_id, args.expected_next_index))[1]
                raise LogConflict(args.run_id, args.expected_next_index, standing)
        self._subscriptions.wake(args.run_id)
        return answer


class AppendLost(_CountsFirst):
    """appendEvents counts, then inserts what is not there yet. Two clients append at one index: both are answered, and
    the second one's events are nowhere.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        if args.events:
            await self.do(self.add_events(args.run_id, args.expected_next_index, args.events, "or ignore"))
        self._subscriptions.wake(args.run_id)
        return answer


class AppendOverwrites(_CountsFirst):
    """appendEvents counts, then inserts or replaces. Two clients append at one index: both are answered, and the first
    one's events are replaced.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        if args.events:
            await self.do(self.add_events(args.run_id, args.expected_next_index, args.events, "or replace"))
        self._subscriptions.wake(args.run_id)
        return answer


class AppendAtTheEnd(_CountsFirst):
    """appendEvents counts, then inserts at whatever the log's end is by then: an append that should have been a
    conflict stands at an index nobody expected.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        answer = await self.counted(args)
        if not args.events:
            return answer
        add, parameters = self.add_events(args.run_id, 0, args.events)
        end = f"(select coalesce(max(event_index) + 1, 0) from {self.t.events} where run_id = ?1)"
        [added] = await self.do((add.replace("cast(?2 as integer)", f"?2 + {end}"), parameters))
        self._subscriptions.wake(args.run_id)
        return t.AppendEventsResult(next_index=max(int(row["event_index"] or 0) for row in added) + 1)


class ConflictReadsLater(HandwrittenStore):
    """appendEvents finds a conflict, then reads the event that stands there: the log deleted in between, it is a
    conflict with nothing.
    """

    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        args = checked(shapes.AppendEventsArguments, **given)
        try:
            return await super().append_events(**given)
        except LogConflict as conflict:
            standing = (await self.log_at(args.run_id, args.expected_next_index))[1]
            raise LogConflict(args.run_id, args.expected_next_index, standing) from conflict


class ReadInPages(HandwrittenStore):
    """readEvents reads page by page, here one event at a time: a log deleted in between comes back in part."""

    async def read_events(self, **given: Any) -> list[t.StoredEvent]:
        args = checked(shapes.ReadEventsArguments, **given)
        position = 0 if args.from_index is MISSING else args.from_index
        events: list[t.StoredEvent] = []
        while True:
            [page] = await self.do((self.of_log.read_some, (args.run_id, position, 1)))
            if not page:
                return events
            events += [built(t.StoredEvent, event_fields(row)) for row in page]
            position = events[-1].event_index + 1


class SubscribeWithGap(HandwrittenStore):
    """subscribeEvents replays, then reads where the log ends and follows from there: an event appended in between is
    given by neither.
    """

    async def subscribe_events(self, *, callback: EventCallback, **given: Any) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, **given)

        async def live(position: int) -> Unsubscribe:
            return await self._subscriptions.subscribe(args.run_id, position, callback)

        read, length = self._log.read_some, self.length
        return await subscriptions.gap(read, length, live, args.run_id, args.from_index, callback)


class SubscribeTwice(HandwrittenStore):
    """subscribeEvents reads where the log ends, replays, then follows from there: an event appended in between is given
    by both.
    """

    async def subscribe_events(self, *, callback: EventCallback, **given: Any) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, **given)

        async def live(position: int) -> Unsubscribe:
            return await self._subscriptions.subscribe(args.run_id, position, callback)

        read, length = self._log.read_some, self.length
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

    def __init__(self, *given: Any, poll_ms: int = 100, **options: Any) -> None:
        super().__init__(*given, poll_ms=poll_ms, **options)
        self.followers = subscriptions.Followers(self._log.read_some, self.length, poll_ms)


class GivenAfterTheEnd(_OwnFollowers):
    """A subscription hands out what it has read, and unsubscribe does not wait for a read under way: an event comes
    after the answer.
    """

    def __init__(self, *given: Any, poll_ms: int = 100, **options: Any) -> None:
        super().__init__(*given, poll_ms=poll_ms, **options)
        self.followers = subscriptions.Followers(self._log.read_some, None, poll_ms)


_FOLLOW = ("subscribeEvents.once", "subscribeEvents.live", "subscribeEvents.replay")

LOG: tuple[Racy, ...] = (
    racy(AppendRowByRow, "reads.snapshot", "retry.converges", *_APPEND, kind="cut"),
    racy(AppendLost, "atomic.acknowledged", *_APPEND),
    racy(AppendOverwrites, "atomic.acknowledged", *_APPEND),
    racy(AppendAtTheEnd, *_APPEND),
    racy(ConflictReadsLater, "appendEvents.conflict", "appendEvents.gap"),
    racy(ReadInPages, "reads.snapshot", "readEvents.read"),
    racy(SubscribeWithGap, *_FOLLOW, kind="subscription"),
    racy(SubscribeTwice, *_FOLLOW, kind="subscription"),
    racy(PollSkips, *_FOLLOW, kind="subscription"),
    racy(GivenAfterTheEnd, "subscribeEvents.unsubscribed", kind="subscription"),
)
