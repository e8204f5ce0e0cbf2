"""The check of subscribeEvents: scripted scenes on a Python store (rulings 11 and 24).

A subscription is no answer to a call, so it is not a program of the model. Each scene subscribes, appends, waits for
the delay the store states, and compares what every subscriber was given with what was appended. They wait together, on
one store; what is wrong there is played again on a store of its own, so that it is told apart from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from storeproof.conformance.judgement import first_segment
from storeproof.conformance.refusals import refused_calls
from storeproof.conformance.session import Session
from storeproof.conformance.watchdog import Blocked, watch
from storeproof.conformance.wiretarget import WireTarget
from storeproof.spec.errors import CannotTellError, InvalidArgument

RUN = "a"
"""The run of a scene that has the store for itself."""
MARGIN_S = 2.0
"""How long beyond the stated delay the kit waits before it calls an event missing; waiting ends when all have come."""

SCENE_S = 30.0
"""Seconds a scene may take before the store counts as hanging."""
WIRE_SCENE_S = 3_600.0
"""The same over the wire, where each request has a limit of its own: without an answer nothing can be told there."""

Given: TypeAlias = list[tuple[dict[str, Any], int]]
Scene: TypeAlias = Callable[["_Stage"], Awaitable[str | None]]


class _Stage:
    """One run's log in a store, and what its subscribers were given."""

    def __init__(self, store: Any, run: str) -> None:
        self.store = store
        self.run = run
        self.delay_s: float = getattr(store, "subscribe_delay_ms", 0) / 1000
        self._subscriptions: list[Callable[[], Awaitable[None]]] = []

    async def append(self, at: int, count: int = 1, run_id: str | None = None) -> None:
        run_id = run_id or self.run
        events = [event(run_id, index) for index in range(at, at + count)]
        await self.store.append_events(run_id=run_id, expected_next_index=at, events=events)

    async def subscribe(self, given: Given, from_index: int = 0) -> Callable[[], Awaitable[None]]:
        def callback(got: dict[str, Any], index: int) -> None:
            given.append((got, index))

        return await self.follow(callback, from_index)

    async def follow(
        self, callback: Callable[[dict[str, Any], int], None], from_index: int = 0
    ) -> Callable[[], Awaitable[None]]:
        unsubscribe: Callable[[], Awaitable[None]] = await self.store.subscribe_events(
            run_id=self.run, from_index=from_index, callback=callback
        )
        self._subscriptions.append(unsubscribe)
        return unsubscribe

    async def leave(self) -> None:
        """Ends every subscription of the scene."""
        for unsubscribe in self._subscriptions:
            await unsubscribe()

    async def arrived(self, given: Given, count: int) -> None:
        """Waits until so many events have come, or until they should have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.delay_s + MARGIN_S):
                while len(given) < count:
                    await asyncio.sleep(0.001)

    async def expect(self, *expected: tuple[Given, int, int]) -> str | None:
        """None where of each (given, first, last) exactly the events `first` to `last`, not included, came in order."""
        for given, first, last in expected:
            await self.arrived(given, last - first)
        await asyncio.sleep(self.delay_s)  # as long as a surplus one may be on its way
        for given, first, last in expected:
            wanted = [(event(self.run, index), index) for index in range(first, last)]
            if given != wanted:
                return f"expected the events {[index for _, index in wanted]}, got {given!r:.300}"
        return None


def event(run_id: str, index: int) -> dict[str, Any]:
    """The event the kit appends to a run at an index."""
    return {"type": "CUSTOM", "ts": index, "name": run_id, "value": {"index": index}}


async def _replay(stage: _Stage) -> str | None:
    await stage.append(0, 3)
    whole: Given = []
    rest: Given = []
    await stage.subscribe(whole)
    await stage.subscribe(rest, from_index=2)
    return await stage.expect((whole, 0, 3), (rest, 2, 3))


async def _live(stage: _Stage) -> str | None:
    given: Given = []
    later: Given = []
    await stage.subscribe(given)
    await stage.subscribe(later, from_index=2)
    await stage.append(0, 2)
    await stage.append(2, 1)
    return await stage.expect((given, 0, 3), (later, 2, 3))


async def _once(stage: _Stage) -> str | None:
    """Appends while the replay of a long log may still be under way."""
    await stage.append(0, 1200)
    given: Given = []

    async def append_more() -> None:
        for at in range(1200, 1230):
            await stage.append(at)

    await asyncio.gather(append_more(), stage.subscribe(given), stage.subscribe([], from_index=1))
    return await stage.expect((given, 0, 1230))


async def _own_run(stage: _Stage) -> str | None:
    given: Given = []
    await stage.subscribe(given)
    for other in (f"{stage.run}:b", stage.run.upper(), f"{stage.run}b", f"b{stage.run}"):
        await stage.append(0, run_id=other)
    await stage.append(0)
    return await stage.expect((given, 0, 1))


async def _unsubscribed(stage: _Stage) -> str | None:
    given: Given = []
    other: Given = []
    unsubscribe = await stage.subscribe(given)
    await stage.subscribe(other)
    await stage.append(0)
    await stage.arrived(given, 1)
    await unsubscribe()
    await unsubscribe()
    await stage.append(1)
    return await stage.expect((other, 0, 2), (given, 0, 1))


async def _failing_callback(stage: _Stage) -> str | None:
    given: Given = []
    seen: list[int] = []

    def fails(got: dict[str, Any], index: int) -> None:
        seen.append(index)
        raise RuntimeError("a callback of the conformance kit fails on purpose")

    await stage.subscribe(given)
    await stage.follow(fails)
    await stage.append(0)
    await stage.append(1)
    problem = await stage.expect((given, 0, 2))
    return problem or (None if seen == [0, 1] else f"the failing callback was given {seen}, not [0, 1]")


async def _own_copies(stage: _Stage) -> str | None:
    given: Given = []

    def vandal(got: dict[str, Any], index: int) -> None:
        got["value"]["index"] = "changed"
        got["type"] = "changed"

    await stage.follow(vandal)
    await stage.subscribe(given)
    await stage.append(0)
    problem = await stage.expect((given, 0, 1))
    log = [row.to_wire()["event"] for row in await stage.store.read_events(run_id=stage.run)]
    return problem or (
        None if log == [event(stage.run, 0)] else f"the log was changed through what a subscriber got: {log}"
    )


SCENES: dict[str, Scene] = {
    "subscribeEvents.replay": _replay,
    "subscribeEvents.live": _live,
    "subscribeEvents.once": _once,
    "subscribeEvents.own-run": _own_run,
    "subscribeEvents.unsubscribed": _unsubscribed,
    "subscribeEvents.failing-callback": _failing_callback,
    "subscribeEvents.own-copies": _own_copies,
}


def check_subscriptions(session: Session) -> None:
    """Every scene on an empty store, and the arguments of subscribeEvents."""
    if "subscribe" not in session.capabilities:
        return
    seen = {rule: scene for rule, scene in SCENES.items() if rule not in session.runner.target.hidden}
    wanted = session.share_of([(rule, scene) for rule, scene in seen.items() if session.wants(rule)])
    together = session.runner.wait(_played(session, [scene for _rule, scene in wanted])) if wanted else {}
    for index, (rule, scene) in enumerate(wanted):
        problem = together.get(scene)
        if problem:
            alone = session.runner.wait(_played(session, [scene])).get(scene)
            problem = alone or f"{problem} (beside other runs with subscribers)"
        if problem is None:
            session.evidence[rule]["subscriptions"] += 1
        else:
            doc = (scene.__doc__ or "").strip()
            session.fail(
                (rule,), "subscriptions", f"{problem} {doc}".strip(), (), "every event once, in order", problem, 0
            )
        session.tell("subscriptions", index + 1, len(wanted))
    if session.wants("subscribeEvents.arguments") and session.share_of([None]):
        session.runner.wait(_bad_arguments(session))


async def _played(session: Session, scenes: Sequence[Scene]) -> dict[Scene, str]:
    """What is wrong in scenes that are played side by side on an empty store, each on runs of its own."""
    await session.runner.target.reset()
    limit_s = _limit_s(session)
    names = [RUN] if len(scenes) == 1 else [f"{RUN}{number}" for number in range(len(scenes))]
    stages = [_Stage(session.runner.target.store, name) for name in names]
    playing = [asyncio.ensure_future(_problem(*each, limit_s)) for each in zip(scenes, stages, strict=True)]
    loop = asyncio.get_running_loop()
    # A store may report a failing callback there; here it fails on purpose and is nobody's news.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        with watch(limit_s + 1):
            problems = await asyncio.gather(*playing)
    except Blocked:
        problems = [f"the store blocked the event loop for more than {limit_s:g} s"] * len(scenes)
    finally:
        for each in playing:
            each.cancel()
        loop.set_exception_handler(None)
    return {scene: problem for scene, problem in zip(scenes, problems, strict=True) if problem}


async def _problem(scene: Scene, stage: _Stage, limit_s: float) -> str | None:
    try:
        async with asyncio.timeout(limit_s):
            problem = await scene(stage)
            await stage.leave()
            return problem
    except CannotTellError:
        raise
    except Exception as error:  # whatever it is, the store raised it or did not answer
        return f"{type(error).__name__}: {error}"


def _limit_s(session: Session) -> float:
    return WIRE_SCENE_S if isinstance(session.runner.target, WireTarget) else SCENE_S


def _ignore(_event: dict[str, Any], _index: int) -> None:
    """A callback for subscriptions that must not come about."""


async def _bad_arguments(session: Session) -> None:
    rule, limit_s = "subscribeEvents.arguments", _limit_s(session)
    await session.runner.target.reset()
    names = {"runId": "run_id", "fromIndex": "from_index"}
    for call in refused_calls(session.specification, "subscribeEvents"):
        keywords = {names.get(name, name): value for name, value in call.args.items()}
        problem = None
        try:
            with watch(limit_s + 1):
                async with asyncio.timeout(limit_s):
                    await session.runner.target.store.subscribe_events(**keywords, callback=_ignore)
            problem = "the subscription was accepted"
        except Blocked:
            problem = f"the store blocked the event loop for more than {limit_s:g} s"
        except InvalidArgument as error:
            if first_segment(error.field) != call.refused:
                problem = f"InvalidArgument names {error.field!r} instead of {call.refused}"
        except CannotTellError:
            raise
        except TypeError as error:
            if keywords.keys() == set(names.values()):  # else Python refused a missing or an unknown keyword
                problem = f"TypeError: {error}"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            message = f"subscribe_events({keywords!r}): {problem}"
            session.fail((rule,), "subscriptions", message, (), f"InvalidArgument on {call.refused}", problem, 0)
            return
        session.evidence[rule]["arguments"] += 1
