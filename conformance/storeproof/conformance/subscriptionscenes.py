"""The scenes in which subscriptions meet appends: what each client does, as data. `subscriptionraces` plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from storeproof.conformance.stages import Stage
from storeproof.conformance.subscriptions import RUN

ONCE, LIVE, UNSUBSCRIBED = "subscribeEvents.once", "subscribeEvents.live", "subscribeEvents.unsubscribed"

Action: TypeAlias = Literal["append", "subscribe", "unsubscribe"]


@dataclass(frozen=True, slots=True)
class Step:
    """What a client does: append so many events, subscribe from an index on, or end its subscription."""

    action: Action
    number: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """`events` are in the log before; then each client takes its steps, beside the others. One of them appends.

    `together`: all clients use one store object, else each has its own where the stage has one for each.
    """

    name: str
    events: int
    clients: tuple[tuple[Step, ...], ...]
    together: bool = False


def _scenes() -> tuple[Scene, ...]:
    one, two = Step("append", 1), Step("append", 2)
    leave = Step("unsubscribe")

    def follow(index: int) -> Step:
        return Step("subscribe", index)

    scenes = (
        Scene("an empty log", 0, ((follow(0),), (two,))),
        Scene("from the beginning", 2, ((follow(0),), (one,))),
        Scene("from the middle", 2, ((follow(1),), (two,))),
        Scene("from the end", 2, ((follow(2),), (one, one))),
        Scene("from beyond the end", 1, ((follow(2),), (two, one))),
        Scene("leaving", 1, ((follow(0), leave), (one, one))),
        Scene("two subscribers", 1, ((follow(0),), (follow(1),), (two,))),
        Scene("one of two leaves", 1, ((follow(0), leave), (follow(1),), (one,))),
    )
    return tuple(
        Scene(f"{scene.name}{', in one process' if together else ''}", scene.events, scene.clients, together)
        # What two clients show is shown first: those are few schedules, and easier to read.
        for clients in (2, 3)
        for together in (False, True)
        for scene in scenes
        if len(scene.clients) == clients
    )


SCENES = _scenes()


def scenes_for(stage: Stage) -> tuple[Scene, ...]:
    """The scenes that differ on a stage: where all clients share a store, each is played once."""
    return tuple(scene for scene in SCENES if scene.together or not stage.shared)


def as_text(step: Step, length: int) -> str:
    """A step as it is written in Python, on a log of so many events."""
    if step.action == "append":
        return f"await store.append_events(run_id={RUN!r}, expected_next_index={length}, …{step.number} events)"
    if step.action == "subscribe":
        return f"await store.subscribe_events(run_id={RUN!r}, from_index={step.number}, …)"
    return "await unsubscribe()"


def exercised(scene: Scene) -> list[str]:
    """The rules that a scene tells of."""
    leaves = any(step.action == "unsubscribe" for client in scene.clients for step in client)
    return [ONCE, LIVE, *([UNSUBSCRIBED] if leaves else [])]
