"""`storeproof selftest`: the kit is worth what it kills: mutants, hand-broken stores; and it must raise no alarm.

Exit codes: 0 all is killed that should be, 1 something is not (or a reason is stale), 3 the kit cannot tell.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from storeproof.conformance import handbroken
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.handbroken import Finding
from storeproof.conformance.killing import Verdict, verdicts
from storeproof.conformance.survivors import survivors
from storeproof.reference.model import Model
from storeproof.reference.mutants import Mutant
from storeproof.spec.errors import CannotTellError
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification

LEAST = 0.95
"""Which part of all mutants has to be killed, equivalent ones counted among those that are not."""
SAMPLE = 8
"""The quick run takes every so manieth mutant and store."""


def run(console: Console, *, seed: int = 0, quick: bool = False, workers: int | None = None) -> int:
    """Runs everything, prints the scoreboard, and answers the exit code. `quick` takes a sample of everything."""
    started = time.monotonic()
    try:
        code = _run(console, seed, quick, workers or handbroken.cores())
    except CannotTellError as error:
        console.print(f"cannot tell: {error}", style="bold red", markup=False, soft_wrap=True)
        return 3
    console.print(f"seed {seed}, {time.monotonic() - started:.0f} s" + (", a sample only" if quick else ""))
    return code


def _run(console: Console, seed: int, quick: bool, workers: int) -> int:
    specification = load()
    mutants = list(model_mutants(specification.data))
    known = survivors()
    tried = mutants[::SAMPLE] if quick else mutants
    found = list(verdicts(Model(specification), tried, seed))
    console.print(_scoreboard(specification, found))
    problems = [*judged(console, found, known, whole=not quick), *stale(known, mutants)]
    killed = {verdict.mutant.rule for verdict in found if verdict.kills}
    if handbroken.available():
        broken = _findings("BROKEN", seed, quick, workers)
        _print_broken(console, broken, "hand-broken stores")
        problems += missed(broken)
        racy = _findings("RACY", seed, quick, workers)
        _print_broken(console, racy, "racy and crash-unsafe stores")
        problems += missed(racy)
        broken += racy
        for right in ("UNUSUAL", "RIGHT"):
            problems += alarms(_findings(right, seed, quick, workers))
        killed |= {rule for finding in broken if finding.found for rule in finding.expected if rule in finding.rules}
        if not quick:
            problems += untested(specification, killed)
    else:
        console.print("no checkout: the hand-broken stores are tests and are not shipped; only mutants were counted")
    for problem in problems:
        console.print(f"✗ {problem}", style="bold red", markup=False, soft_wrap=True)
    return 1 if problems else 0


def stale(known: dict[str, str], mutants: Iterable[Mutant]) -> list[str]:
    """Reasons for mutants that there are no longer."""
    names = {mutant.id for mutant in mutants}
    return [
        f"survivors.json has a reason for {name}, which is no mutant any more" for name in known if name not in names
    ]


def untested(specification: Specification, killed: Iterable[str]) -> list[str]:
    """Rules no mutant and no hand-broken store was killed by: a check that has never failed is not a check."""
    killed = set(killed)
    return [
        f"{rule.id} counts as untested: no mutant and no hand-broken store that breaks it was killed by its name"
        for rule in specification.rules.values()
        if rule.checked_by != "nothing" and rule.id not in killed
    ]


def missed(findings: Iterable[Finding]) -> list[str]:
    """Hand-broken stores that were not found, or not for the right reason."""
    problems: list[str] = []
    for finding in findings:
        if finding.error:
            problems.append(f"{finding.name} ({finding.says}): {finding.error}")
        elif not finding.found:
            named = f"named only {', '.join(finding.rules)}" if finding.rules else "was not noticed"
            problems.append(f"{finding.name} ({finding.says}): {named}; expected {' or '.join(finding.expected)}")
    return problems


def alarms(findings: Iterable[Finding]) -> list[str]:
    """Right stores that were said to be wrong."""
    problems: list[str] = []
    for finding in findings:
        if finding.error or finding.others:
            said = finding.error or ", ".join(finding.others)
            problems.append(f"{finding.name} ({finding.says}) is right, and the kit says: {said}")
    return problems


def judged(console: Console, found: Sequence[Verdict], known: dict[str, str], *, whole: bool = True) -> list[str]:
    """Prints every survivor with its reason; answers what is wrong. The rate counts where all mutants were tried."""
    problems: list[str] = []
    for verdict in found:
        name = verdict.mutant.id
        if verdict.kills and name in known:
            problems.append(f"survivors.json has a reason for {name}, which is killed by {', '.join(verdict.kills)}")
        elif not verdict.kills:
            if name in known:
                console.print(f"survives: {escape(name)}\n          {escape(known[name])}", soft_wrap=True)
            else:
                problems.append(f"{name} survives without a reason: {verdict.mutant.description}")
    killed = sum(bool(verdict.kills) for verdict in found)
    rate = killed / len(found)
    by_check = Counter(check for verdict in found for check in verdict.kills)
    times = sorted(min(verdict.kills.values()) for verdict in found if verdict.kills)
    console.print(
        f"mutants: {killed} of {len(found)} killed ({rate:.1%}); by "
        + ", ".join(f"{check} {count}" for check, count in by_check.most_common())
        + (f"; time to kill: median {median(times) * 1000:.0f} ms, worst {times[-1]:.1f} s" if times else "")
    )
    only = [verdict.mutant.id for verdict in found if verdict.kills.keys() == {"vectors"}]
    if only:
        console.print(f"killed by the vectors only: {escape(', '.join(only))}", soft_wrap=True)
    if whole and rate < LEAST:
        problems.append(f"only {rate:.1%} of all mutants are killed; it has to be {LEAST:.0%}")
    return problems


def _findings(kind: str, seed: int, quick: bool, workers: int) -> list[Finding]:
    places = range(0, len(handbroken.stores(kind)), SAMPLE if quick else 1)
    return list(handbroken.findings(kind, places, seed, workers))


def _print_broken(console: Console, broken: Sequence[Finding], what: str) -> None:
    found = sum(finding.found for finding in broken)
    first = sum(finding.first for finding in broken)
    times = sorted(finding.seconds for finding in broken if finding.found)
    console.print(
        f"{what}: {found} of {len(broken)} found, {first} with the right rule first"
        + (f"; time to find: median {median(times):.1f} s, worst {times[-1]:.1f} s" if times else "")
    )
    for finding in broken:
        if finding.found and not finding.first:
            console.print(
                f"right rule not first: {finding.name} ({escape(finding.says)}): {', '.join(finding.led_by)}",
                soft_wrap=True,
            )


def _scoreboard(specification: Specification, found: Sequence[Verdict]) -> Table:
    table = Table("operation or function", "mutants", "killed", "by vectors", "by sequences", title="Model mutants")
    for column in table.columns[1:]:
        column.justify = "right"
    groups: dict[str, list[Verdict]] = {name: [] for name in specification.operations}
    for verdict in found:
        groups.setdefault(verdict.mutant.rule.split(".")[0], []).append(verdict)
    for name, members in groups.items():
        if members:
            counts = [sum(bool(m.kills) for m in members), *(sum(c in m.kills for m in members) for c in _COLUMNS)]
            table.add_row(name, str(len(members)), *map(str, counts))
    return table


_COLUMNS = ("vectors", "sequences")
