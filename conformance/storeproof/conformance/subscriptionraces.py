"""Subscriptions while others append: every event once, in order, no gap, none after the end (rulings 11 and 24).

Small scenes of two or three clients: under the scheduler, where every statement, the answer to it and every pause of
what the store runs for a subscriber are points, and with real concurrency. What subscribers were given is compared with
the log as it stands in the end. `subscriptions` has the scenes of one client.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from storeproof.conformance.exploring import Explorer
from storeproof.conformance.histories import Moment
from storeproof.conformance.pauses import pauses_are_points
from storeproof.conformance.points import point
from storeproof.conformance.programs import Call
from storeproof.conformance.scheduling import Choose, Scheduler, Stuck
from storeproof.conformance.stages import Stage
from storeproof.conformance.subscriptions import MARGIN_S, RUN, Given, event
from storeproof.conformance.subscriptionscenes import LIVE, ONCE, UNSUBSCRIBED, Scene, Step, as_text, exercised
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Raised
from storeproof.spec.errors import CannotTellError

BOUND = 2
"""Preemptions in a schedule."""
MOST_SCHEDULES = 150
LIMIT_S = 10.0
SURPLUS_S = 0.03
"""How long an event that is one too many is waited for with real concurrency; under the scheduler it has ROUNDS."""
LONGEST_PAUSE_S = 1.0
"""A longer timer is no pause between two polls, unless the store states a longer delay."""


@dataclass(frozen=True, slots=True)
class WrongSubscription:
    """A run of a scene that no store may give. `choices` repeat it; empty where nobody chose."""

    scene: Scene
    rule: str
    message: str
    expected: str
    actual: str
    choices: tuple[int, ...]
    moments: tuple[Moment, ...]


@dataclass(slots=True)
class SceneExploration:
    """What became of one scene: how many schedules were run, and whether these are all within the bound."""

    schedules: int = 0
    complete: bool = False
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: WrongSubscription | None = None


async def explore_scene(
    stage: Stage, scene: Scene, bound: int | None = BOUND, most: int = MOST_SCHEDULES
) -> SceneExploration:
    """Plays a scene in every schedule within the bound until one is wrong. Between `stage.points()` and its end."""
    found = SceneExploration()
    explorer = Explorer(bound)
    while explorer.more and explorer.runs < most:
        found.wrong = await play_scene(stage, scene, explorer.choose)
        explorer.advance()
        found.schedules = explorer.runs
        if found.wrong is not None:
            return found
        found.rules.update(exercised(scene))
    found.complete = not explorer.more
    return found


async def race_scene(stage: Stage, scene: Scene, repetitions: int) -> SceneExploration:
    """Plays a scene so many times with real concurrency."""
    found = SceneExploration()
    for _ in range(repetitions):
        found.wrong = await play_scene(stage, scene, None)
        found.schedules += 1
        if found.wrong is not None:
            return found
        found.rules.update(exercised(scene))
    return found


async def play_scene(stage: Stage, scene: Scene, choose: Choose | None) -> WrongSubscription | None:
    """Plays a scene once; without `choose` with real concurrency."""
    outcomes = await stage.prepare((_appended(0, scene.events),) if scene.events else ())
    if any(isinstance(outcome, Raised) for outcome in outcomes):
        return None  # sequences tell that better
    playing = _Playing(stage, scene)
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: playing.trouble.append(str(context.get("exception"))))
    scheduler = Scheduler(choose, stage.probe, limit_s=LIMIT_S, follows=True) if choose is not None else None
    try:
        steered: AbstractContextManager[None] = nullcontext()
        if scheduler is not None:
            steered = pauses_are_points(scheduler, max(LONGEST_PAUSE_S, playing.delay_s))
        with steered:
            problem = await playing.run(scheduler)
        if problem is None:
            return None
        return WrongSubscription(
            scene,
            problem.rule,
            problem.message,
            problem.expected,
            problem.actual,
            tuple(scheduler.choices) if scheduler else (),
            tuple(moment for moment in scheduler.moments if moment.kind != "sleep") if scheduler else (),
        )
    finally:
        await playing.leave()
        loop.set_exception_handler(handler)


@dataclass(frozen=True, slots=True)
class _Problem:
    rule: str
    message: str
    expected: str
    actual: str


@dataclass(slots=True)
class _Subscription:
    first: int
    given: Given = field(default_factory=list[tuple[dict[str, Any], int]])
    end: Callable[[], Awaitable[None]] | None = None
    """None until subscribeEvents has answered."""
    left_with: int | None = None
    """How many events had been given when unsubscribe answered."""


class _Playing:
    """One run of a scene."""

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self.trouble: list[str] = []
        """What the store told the event loop's exception handler."""
        self._stage = stage
        self._scene = scene
        self._length = scene.events
        self._subscriptions: list[_Subscription] = []
        self._problem: _Problem | None = None
        self.delay_s: float = getattr(self._store(0), "subscribe_delay_ms", 0) / 1000

    async def run(self, scheduler: Scheduler | None) -> _Problem | None:
        """Plays it and looks at what every subscriber was given."""
        works = [self._work(number, scheduler) for number in range(len(self._scene.clients))]
        try:
            if scheduler is None:
                # Over the wire each request has a limit of its own, and a hang is no failure of the store's.
                async with asyncio.timeout(None if isinstance(self._stage, WireStage) else LIMIT_S):
                    await asyncio.gather(*(work() for work in works))
            else:
                await scheduler.run(works)
        except (Stuck, TimeoutError):
            return _Problem(LIVE, f"no answer within {LIMIT_S:g} s beside other clients", "an answer", "none")
        if self._problem is None:
            await self._settle(real=scheduler is None)
        try:
            return self._problem or await self._compared()
        except CannotTellError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            return _Problem(ONCE, f"the log cannot be read: {told}", "the log", told)

    async def leave(self) -> None:
        """Ends what is left."""
        for subscription in self._subscriptions:
            if subscription.end is not None:
                try:
                    async with asyncio.timeout(None if isinstance(self._stage, WireStage) else LIMIT_S):
                        await subscription.end()
                except CannotTellError:
                    raise
                except Exception as error:
                    self.trouble.append(str(error))

    def _store(self, number: int) -> Any:
        return self._stage.client(0 if self._scene.together else number).store

    def _work(self, number: int, scheduler: Scheduler | None) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            own: list[_Subscription] = []
            for step in self._scene.clients[number]:
                await point(as_text(step, self._length), "call")
                try:
                    await self._take(step, self._store(number), own)
                except CannotTellError:
                    raise
                except Exception as error:
                    told = f"{type(error).__name__}: {error}"
                    self._problem = _Problem(ONCE, f"{as_text(step, self._length)}: {told}", "an answer", told)
                    return
                if scheduler is not None:
                    scheduler.note(number, "answer", "")

        return work

    async def _take(self, step: Step, store: Any, own: list[_Subscription]) -> None:
        if step.action == "append":
            there = [each for each in self._subscriptions if each.end is not None and each.left_with is None]
            at = self._length
            self._length += step.number
            await store.append_events(
                run_id=RUN,
                expected_next_index=at,
                events=[event(RUN, index) for index in range(at, at + step.number)],
            )
            if self.delay_s == 0:
                self._look_for_late_ones(there, at + step.number)
        elif step.action == "subscribe":
            subscription = _Subscription(step.number)

            def callback(got: dict[str, Any], index: int) -> None:
                subscription.given.append((got, index))

            own.append(subscription)
            self._subscriptions.append(subscription)
            subscription.end = await store.subscribe_events(run_id=RUN, from_index=step.number, callback=callback)
        else:
            left = own.pop()
            assert left.end is not None
            await left.end()
            left.left_with = len(left.given)

    def _look_for_late_ones(self, there: list[_Subscription], length: int) -> None:
        """A store that states no delay gives an event before the answer to the append (ruling 24)."""
        for subscription in there:
            wanted = list(range(subscription.first, length))
            given = [index for _, index in subscription.given]
            if subscription.left_with is None and self._problem is None and not set(wanted) <= set(given):
                message = "the append was answered before its events were given, and the store states no delay"
                self._problem = _Problem(LIVE, message, f"the events {wanted}", f"{given}")

    async def _settle(self, real: bool) -> None:
        """Waits for what is still on its way; what is surplus gets a moment where pauses take their time."""
        following = [each for each in self._subscriptions if each.left_with is None]
        try:
            async with asyncio.timeout(self.delay_s + MARGIN_S):
                while any(len(each.given) < self._length - each.first for each in following):
                    await asyncio.sleep(0.001)
        except TimeoutError:
            return
        await asyncio.sleep(min(self.delay_s, SURPLUS_S) if real else 0)

    async def _compared(self) -> _Problem | None:
        reader: Any = self._stage.reader.store
        rows = await reader.read_events(run_id=RUN)
        log: Given = [(row.event, row.event_index) for row in rows]
        if len(log) != self._length:
            return _Problem(ONCE, "the log lacks what was appended", f"{self._length} events", f"{len(log)}")
        trouble = f"; the store told: {'; '.join(self.trouble)}" if self.trouble else ""
        for subscription in self._subscriptions:
            wanted = log[subscription.first :]
            given = subscription.given
            if subscription.left_with is not None:
                if len(given) > subscription.left_with:
                    late = [index for _, index in given[subscription.left_with :]]
                    message = f"events {late} were given after the answer to unsubscribe{trouble}"
                    return _Problem(UNSUBSCRIBED, message, "no event after it", f"{late}")
                wanted = wanted[: len(given)]
            if given != wanted:
                expected, actual = [index for _, index in wanted], [index for _, index in given]
                message = f"a subscriber from index {subscription.first} on was not given every event once{trouble}"
                return _Problem(
                    ONCE, message, f"the events {expected}", f"{actual}" if expected != actual else "others"
                )
        return None


def _appended(at: int, count: int) -> Call:
    events = [event(RUN, index) for index in range(at, at + count)]
    return Call("appendEvents", {"runId": RUN, "expectedNextIndex": at, "events": events})
