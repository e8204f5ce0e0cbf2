"""A fleet in two languages: the upstream store and ours on the same tables, each operation routed to one of them.

    python examples/tanstack/with_postgres.py python examples/tanstack/mixed_fleet.py postgres
    python examples/tanstack/mixed_fleet.py d1

Two passes. In the first, chance alone decides who gets an operation; a program that fails is run once more on ours
alone and on upstream alone, and ours must pass. In the second, what upstream is known to get wrong goes to ours and
chance decides about the rest; then nothing may fail at all. Exit codes as those of `storeproof verify`.

On D1 the local SQLite store opens the file that workerd has open. Of one client's calls all is well; workerd does not
wait for a lock that another process holds, as production has no such process, so nothing runs at the same time there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from known_findings import KNOWN, RACY
from mixed_stage import MixedStage
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.encounterload import repeated
from storeproof.conformance.profiles import PROFILES, Profile
from storeproof.conformance.programs import Arguments, Call, from_json
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.report import FailureReport
from storeproof.conformance.runner import Runner, expected_step
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.verify import verify
from storeproof.conformance.wiretarget import wire_target
from storeproof.reference.model import Model, Outcome
from storeproof.spec.loader import load
from storeproof.spec.schemas import problems

HERE = Path(__file__).parent
SCHEMA = "storeproof_mixed"
FOLDER = Path(".storeproof/tanstack-mixed")
LIMIT_S = 120.0
MOST_FAILURES = 60
"""What upstream gets wrong must not end a pass early."""
REPETITIONS = 100
"""How often a race that failed is tried on each side alone."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Two stores on one database. `ours` opens ours, when upstream has made its tables."""

    name: str
    bridge: str
    ours: Callable[[AsyncExitStack], Any]
    concurrent: bool


async def _our_postgres(stack: AsyncExitStack) -> Any:
    return await stack.enter_async_context(PostgresStore(os.environ["STOREPROOF_PG_URL"], schema=SCHEMA, pool_size=8))


async def _our_sqlite(stack: AsyncExitStack) -> Any:
    files = [path for path in FOLDER.glob("miniflare-D1DatabaseObject/*.sqlite") if path.stem != "metadata"]
    database = await stack.enter_async_context(LocalD1(str(files[0]), synchronous="normal"))
    return await stack.enter_async_context(D1Store(database))


FLEETS = {
    "postgres": Fleet("postgres", f"postgres --schema {SCHEMA}", _our_postgres, True),
    "d1": Fleet("d1", f"d1 --folder {FOLDER}", _our_sqlite, False),
}


class MixedTarget:
    """A target whose calls go to either store. See `targets.Target`.

    `only`: `ours` or `upstream`, for one side alone. `guarded`: what upstream is known to get wrong goes to ours.
    """

    def __init__(self, fleet: Fleet, seed: int, only: str | None = None, *, guarded: bool = False) -> None:
        self.name = f"mixed fleet, {fleet.name}" + (f", {only} alone" if only else ", guarded" if guarded else "")
        self.capabilities: frozenset[str] = frozenset()
        self.hidden: Mapping[str, str] = {}
        self.elsewhere = True
        self.model = Model(load())
        self.answered: Counter[str] = Counter()
        """How many calls each side answered, and after how many of one side's calls the next was the other's."""
        self.upstream = wire_target(f"stdio:node {HERE / 'bridge.mjs'} {fleet.bridge}", LIMIT_S)
        self._fleet = fleet
        self._seed = seed
        self._only = only
        self._guarded = guarded
        self._stack = AsyncExitStack()
        self._ours: PythonStore | None = None
        self._state = self.model.initial()
        self._occurrences: Counter[str] = Counter()
        self._last: str | None = None

    async def open(self) -> None:
        """Upstream makes the tables, ours adds what it needs."""
        await self.upstream.open()
        store = await self._fleet.ours(self._stack)
        await store.ensure_schema()
        self._ours = PythonStore(store, self.model.specification, LIMIT_S)

    async def close(self) -> None:
        """Both."""
        await self._stack.aclose()
        await self.upstream.close()

    async def reset(self) -> None:
        """Empty tables."""
        await self.upstream.reset()
        self._state = self.model.initial()
        self._occurrences.clear()
        self._last = None

    async def reopen(self) -> None:
        """It is not offered as durable."""
        raise NotImplementedError

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call of one client, by whose state what is known of upstream is told."""
        shape = self.model.specification.operations[operation].arguments
        call = Call(operation, args, refused=next(iter(problems(shape, args)), None))
        step = expected_step(self.model, self._state, call)
        known = self._guarded and any(finding(self._state, call, step) for finding in KNOWN[self._fleet.name].values())
        self._state = step.state
        return await self.routed(call, ours=known)

    async def beside_others(self, operation: str, args: Arguments) -> Outcome:
        """One call of one of several clients; nobody knows the state in which it will be decided."""
        return await self.routed(Call(operation, args), ours=self._guarded and operation in RACY)

    async def routed(self, call: Call, *, ours: bool) -> Outcome:
        """One call on ours, or on whichever side chance picks: the same for the same call of a program every time."""
        text = json.dumps([call.operation, call.args], sort_keys=True)
        self._occurrences[text] += 1
        coin = random.Random(f"{self._seed} {self._occurrences[text]} {text}").choice(("ours", "upstream"))
        side = self._only or ("ours" if ours else coin)
        self.answered[side] += 1
        self.answered["handed over"] += self._last not in (None, side)
        self._last = side
        if side == "upstream":
            return await self.upstream.call(call.operation, call.args)
        assert self._ours is not None, "open() comes first"
        return await self._ours.call(call.operation, call.args)

    @property
    def store(self) -> Any:
        """Subscriptions are not for a mixture."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What upstream says of itself."""
        return self.upstream.environment() | {"seed of the routes": str(self._seed)}

    def stage(self) -> MixedStage | None:
        """Clients beside each other, where both stores can bear it."""
        return MixedStage(self) if self._fleet.concurrent else None

    def faults(self) -> AbstractAsyncContextManager[Any] | None:
        """None that would be about the mixture."""
        return None


CHECKS = ("vectors", "values", "ids", "sequences", "histories")


def failing(fleet: Fleet, failure: FailureReport, seed: int, only: str) -> bool:
    """Whether the program of a failure fails on one side alone."""
    target = MixedTarget(fleet, seed, only)
    runner = Runner(target, target.model)
    program = from_json(failure.model_dump()["program"])
    try:
        runner.open()
        if not failure.clients:
            return runner.run(program).mismatch is not None
        clients = tuple(from_json(client) for client in failure.model_dump()["clients"])
        stage = MixedStage(target)
        load_ = runner.wait(repeated(stage, target.model, Scenario(program, clients), Readings(), REPETITIONS))
        return load_.wrong is not None
    finally:
        runner.close()


def passed(fleet: Fleet, profile: Profile, seed: int, checks: Sequence[str], *, guarded: bool) -> int:
    """One pass; 0 where nothing failed that counts."""
    target = MixedTarget(fleet, seed, guarded=guarded)
    report = verify(target, target.model.specification, profile, seed=seed, checks=checks)
    levels = {rule.id: rule.level for rule in report.rules}
    counted = ", ".join(f"{name} {count}" for name, count in sorted(target.answered.items()))
    print(f"{target.name}: {report.verdict}; {counted}", flush=True)
    if report.error:
        print(f"  {report.error}")
        return 3
    wrong = 0
    for failure in report.failures:
        alone = {side: failing(fleet, failure, seed, side) for side in ("ours", "upstream")}
        level = "MUST" if any(levels.get(rule) == "MUST" for rule in failure.rules) else "SHOULD"
        excused = alone["upstream"] and not alone["ours"] and (not guarded or level == "SHOULD")
        wrong += not excused
        said = ", ".join(f"{side} alone {'fails' if fails else 'passes'}" for side, fails in alone.items())
        print(f"  {level} {' '.join(failure.rules)} ({failure.check}): {said}{'' if excused else '  <-- not upstream'}")
        if not excused:
            print("    " + "\n    ".join([*failure.python.splitlines(), failure.message]), flush=True)
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    """Both passes."""
    parser = argparse.ArgumentParser(description="The upstream store and ours on the same tables.")
    parser.add_argument("fleet", choices=FLEETS)
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", choices=CHECKS, action="append", help="only this one; repeatable")
    chosen = parser.parse_args(arguments)
    profile = replace(PROFILES[chosen.profile], most_failures=MOST_FAILURES)
    fleet, checks = FLEETS[chosen.fleet], chosen.check or list(CHECKS)
    return max(passed(fleet, profile, chosen.seed, checks, guarded=guarded) for guarded in (False, True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
