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

from storeproof.conformance.report import Report
from storeproof.conformance.session import Profile
from storeproof.conformance.targets import StoreTarget
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load

FOLDER = Path(__file__).parents[2]
"""The part's folder in a checkout; the lists are in its tests."""
FIRST = Profile("selftest", 15, 150, most_failures=1)
MORE = Profile("selftest", 15, 150, most_failures=8)


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
    verdict: str
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
    report = _verified(store, seed, FIRST)
    first = bool(report.failures) and report.failures[0].rules[0] in store.expected
    if report.failures and not _named(store, report):
        report = _verified(store, seed, MORE)
    rules = _named(store, report) or tuple(report.failures[0].rules if report.failures else ())
    found = bool(_named(store, report))
    return Finding(name, store.says, tuple(sorted(store.expected)), found, first, rules, report.verdict, report.error)


def _verified(store: HandBroken, seed: int, profile: Profile) -> Report:
    specification = load()
    return verify(StoreTarget(store.name, store.make, specification), specification, profile, seed=seed)


def _named(store: HandBroken, report: Report) -> tuple[str, ...]:
    for failure in report.failures:
        if not store.expected.isdisjoint(failure.rules):
            return tuple(failure.rules)
    return ()
