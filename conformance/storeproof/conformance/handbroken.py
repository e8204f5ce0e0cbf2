"""The hand-broken stores of the checkout: each is verified like any store, and the right rule must be named.

They are tests, so they are not shipped; without a checkout there are none. Knows their list and nothing about them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from storeproof.conformance.checks import CHECKS
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.runner import Runner
from storeproof.conformance.session import Profile, Session
from storeproof.conformance.targets import StoreTarget
from storeproof.reference.model import Model
from storeproof.spec.loader import load

FOLDER = Path(__file__).parents[2]
"""The part's folder in a checkout; the lists are in its tests."""
PROFILE = Profile("selftest", 6, 30, most_failures=5)


@dataclass(slots=True)
class _UntilNamed(Session):
    """A session that ends when a failure names an expected rule, or after as many as the profile says."""

    expected: frozenset[str] = frozenset()

    @property
    def full(self) -> bool:
        """Whether there is nothing more to be learnt."""
        named = any(not self.expected.isdisjoint(failure.rules) for failure in self.failures)
        return named or len(self.failures) >= self.profile.most_failures


class HandBroken(Protocol):
    """A store with one defect, or a right one that is unusual."""

    @property
    def name(self) -> str: ...
    @property
    def make(self) -> Callable[[], AbstractAsyncContextManager[Any]]: ...
    @property
    def expected(self) -> frozenset[str]: ...
    @property
    def says(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What the kit said of one store. `rules` are those of the first failure that names an expected one."""

    name: str
    says: str
    expected: tuple[str, ...]
    found: bool
    """An expected rule is named by a failure."""
    first: bool
    """It is the first rule of the first failure."""
    rules: tuple[str, ...]
    led_by: tuple[str, ...]
    """The rules of the first failure, where it is another one."""
    check: str
    """The check that said it."""
    others: tuple[str, ...]
    """Every rule named that is not expected."""
    error: str | None


def available() -> bool:
    """Whether there is a checkout with the lists."""
    return (FOLDER / "tests" / "broken_stores.py").is_file()


def stores(kind: str) -> tuple[HandBroken, ...]:
    """The list `BROKEN` or `UNUSUAL`."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    found: tuple[HandBroken, ...] = getattr(importlib.import_module("tests.broken_stores"), kind)
    return found


def findings(kind: str, names: Iterable[str], seed: int, workers: int) -> Iterator[Finding]:
    """One finding per store, in the order given."""
    jobs = [(kind, name, seed) for name in names]
    if workers == 1:
        yield from map(_finding, jobs)
        return
    # Fresh processes: a forked one would inherit loops and threads.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_finding, jobs, chunksize=4)


def cores() -> int:
    """How many processes are worth starting."""
    return min(4, os.cpu_count() or 1)


def _finding(job: tuple[str, str, int]) -> Finding:
    kind, name, seed = job
    store = next(store for store in stores(kind) if store.name == name)
    specification = load()
    runner = Runner(StoreTarget(store.name, store.make, specification), Model(specification))
    # A right store is looked at until the end, so nothing is expected of it before.
    session = _UntilNamed(runner, PROFILE, seed, expected=store.expected if kind == "BROKEN" else frozenset())
    error = None
    try:
        runner.open()
        for check in CHECKS.values():
            if not session.full:
                check(session)
    except HarnessError as problem:
        error = str(problem)
    finally:
        runner.close()
    failures = session.failures
    led_by = tuple(failures[0].rules if failures else ())
    named = next((tuple(each.rules) for each in failures if not store.expected.isdisjoint(each.rules)), ())
    return Finding(
        name=name,
        says=store.says,
        expected=tuple(sorted(store.expected)),
        found=bool(named),
        first=bool(led_by) and led_by[0] in store.expected,
        rules=named or led_by,
        led_by=led_by,
        check=failures[-1].check if failures else "",
        others=tuple(rule for each in failures for rule in each.rules if rule not in store.expected),
        error=error,
    )
