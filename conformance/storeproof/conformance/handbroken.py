"""The hand-broken stores of the checkout: each is verified like any store, and the right rule must be named.

They are tests, so they are not shipped; without a checkout there are none. Knows their list and nothing about them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from storeproof.conformance.checks import CHECKS
from storeproof.conformance.databases import PostgresTarget, SqliteTarget
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import method_name
from storeproof.conformance.pythonstore import DEFAULT_LIMIT_S
from storeproof.conformance.runner import Runner
from storeproof.conformance.session import Session
from storeproof.conformance.targets import StoreTarget, Target
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification

FOLDER = Path(__file__).parents[2]
"""The part's folder in a checkout; the lists are in its tests."""
PROFILE = Profile("selftest", 6, 30, thirds=150, cut_pairs=10, loads=3, feeds=60, most_failures=5)
_RACES = {
    "race": ("interleavings", "cuts"),
    "cut": ("cuts", "interleavings"),
    "subscription": ("subscription-races",),
}
"""The checks that racy stores are for, by what is wrong with them; one client finds nothing wrong."""
SHARE = 8
"""Of right stores every so manieth scenario is explored: what is left out is left out of a false alarm only."""
_FOR_ONE = [
    name for name in CHECKS if name not in {check for checks in _RACES.values() for check in checks} | {"histories"}
]


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
    def expected(self) -> frozenset[str]: ...
    @property
    def says(self) -> str: ...


class _InMemory(HandBroken, Protocol):
    @property
    def make(self) -> Callable[[], AbstractAsyncContextManager[Any]]: ...


class _Racy(HandBroken, Protocol):
    @property
    def backend(self) -> str: ...
    @property
    def store(self) -> type[Any]: ...
    @property
    def kind(self) -> str: ...


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
    seconds: float
    """From the start of its checks until it was found, or until they ended."""
    others: tuple[str, ...]
    """Every rule named that is not expected."""
    error: str | None


def available() -> bool:
    """Whether there is a checkout with the lists."""
    return (FOLDER / "tests" / "broken_stores.py").is_file()


_LISTS = {
    "BROKEN": "tests.broken_stores",
    "UNUSUAL": "tests.broken_stores",
    "RACY": "tests.races_stores",
    "RIGHT": "tests.races_right",
}


def stores(kind: str) -> tuple[HandBroken, ...]:
    """`BROKEN` and `UNUSUAL` for one client, `RACY` and `RIGHT` for several. A name may be that of two backends."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    found: tuple[HandBroken, ...] = getattr(importlib.import_module(_LISTS[kind]), kind)
    return found


def findings(kind: str, places: Iterable[int], seed: int, workers: int) -> Iterator[Finding]:
    """One finding per store of a list, by its place in it, in the order given."""
    jobs = [(kind, place, seed) for place in places]
    if workers == 1:
        yield from map(_finding, jobs)
        return
    # Fresh processes: a forked one would inherit loops and threads.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_finding, jobs, chunksize=4)


def cores() -> int:
    """How many processes are worth starting."""
    return min(4, os.cpu_count() or 1)


def _finding(job: tuple[str, int, int]) -> Finding:
    kind, place, seed = job
    store = stores(kind)[place]
    specification = load()
    racy = kind in ("RACY", "RIGHT")
    target = _on_database(cast("_Racy", store), specification) if racy else _in_memory(store, specification)
    runner = Runner(target, Model(specification))
    # A right store is looked at until the end, so nothing is expected of it before.
    session = _UntilNamed(runner, PROFILE, seed, expected=store.expected)
    if racy:
        session.focus = overridden(cast("_Racy", store).store, specification)
        session.share = slice(None, None, SHARE if kind == "RIGHT" else 1)
    error = None
    started = time.monotonic()
    try:
        runner.open()
        for check in _RACES[cast("_Racy", store).kind] if racy else _FOR_ONE:
            if not session.full:
                CHECKS[check](session)
    except HarnessError as problem:
        error = str(problem)
    finally:
        runner.close()
    failures = session.failures
    led_by = tuple(failures[0].rules if failures else ())
    named = next((tuple(each.rules) for each in failures if not store.expected.isdisjoint(each.rules)), ())
    return Finding(
        name=store.name,
        says=store.says,
        expected=tuple(sorted(store.expected)),
        found=bool(named),
        first=bool(led_by) and led_by[0] in store.expected,
        rules=named or led_by,
        led_by=led_by,
        check=failures[-1].check if failures else "",
        seconds=time.monotonic() - started,
        others=tuple(rule for each in failures for rule in each.rules if rule not in store.expected),
        error=error,
    )


def overridden(store: type[Any], specification: Specification) -> frozenset[str]:
    """The operations that a class below a reference adapter does in its own way."""
    own: set[str] = set()
    for kind in store.__mro__:
        if kind.__module__.startswith("storeproof.adapters."):
            break
        own |= vars(kind).keys()
    return frozenset(name for name in specification.operations if method_name(name) in own)


def _in_memory(store: HandBroken, specification: Specification) -> Target:
    return StoreTarget(store.name, cast("_InMemory", store).make, specification)


def _on_database(store: _Racy, specification: Specification) -> Target:
    make = PostgresTarget if store.backend == "postgresql" else SqliteTarget
    return make(f"{store.backend}:", None, specification, DEFAULT_LIMIT_S, store.store)
