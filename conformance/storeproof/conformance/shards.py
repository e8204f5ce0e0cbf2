"""One run shared out among processes: each does its share of every check, on a store of its own, and tells what it saw.

What is run is the same as in one process, so a verdict rests on the same evidence; only generated sequences differ,
because each process steers by what it has exercised itself. A run repeats itself with the same seed and number of jobs.
"""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from storeproof.conformance.failures import HarnessError
from storeproof.conformance.profiles import Profile
from storeproof.conformance.report import FailureReport, PairReport, Report, RuleReport, Status, verdict_of
from storeproof.conformance.session import Progress
from storeproof.conformance.targets import resolve
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load

LEFT_S = 30.0
"""Seconds in which an interrupted process may take away what it made."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every process of a run is told; `limit_s` is seconds per operation."""

    target: str
    profile: Profile
    seed: int
    rules: tuple[str, ...]
    limit_s: float


def verify_in_shares(
    job: Job,
    jobs: int,
    progress: Progress | None = None,
    on_failure: Callable[[FailureReport], FailureReport] | None = None,
) -> Report:
    """The report of a run in so many processes.

    Each resolves the target by its name, so it must be one of which several can be open at once. What goes wrong
    outside the store becomes a report with the verdict unknown. Raises HarnessError where no process came to its end.
    """
    context = multiprocessing.get_context("spawn")  # a forked process would inherit loops and threads
    shares = [_Share(context, job, slice(number, None, jobs)) for number in range(jobs)]
    total = _Total(progress, jobs)
    try:
        waiting = {share.connection: (number, share) for number, share in enumerate(shares)}
        while waiting:
            for ready in wait(list(waiting)):
                assert isinstance(ready, Connection)
                number, share = waiting[ready]
                if not share.read(total, number):
                    del waiting[ready]
                    total.ended(number)
    finally:
        for share in shares:
            share.end()
    reports = [share.report for share in shares if share.report is not None]
    lost = [str(share.process.exitcode) for share in shares if share.report is None]
    if not reports:
        raise HarnessError(f"{job.target}: no process of the run came to its end; exit codes {', '.join(lost)}")
    error = f"a process of the run ended too early, with exit code {', '.join(lost)}" if lost else None
    merged = merged_reports(reports, error)
    failures = [failure if on_failure is None else on_failure(failure) for failure in merged.failures]
    return merged.model_copy(update={"failures": failures})


def merged_reports(reports: Sequence[Report], error: str | None = None) -> Report:
    """What several sessions found of one target in their shares of one run, as one report."""
    first = reports[0]
    rules = [_merged_rule(each) for each in zip(*(report.rules for report in reports), strict=True)]
    errors = [report.error for report in reports if report.error] + ([error] if error else [])
    verdict = verdict_of(rules)
    outages, programs, skipped = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        outages.update(report.outages)
        programs.update(report.programs)
        skipped.update(report.skipped)
    return first.model_copy(
        update={
            "rules": rules,
            "verdict": "unknown" if errors and verdict != "fails" else verdict,
            "failures": _distinct([failure for report in reports for failure in report.failures]),
            "pairs": _merged_pairs([pair for report in reports for pair in report.pairs]),
            "cut_points": sum(report.cut_points for report in reports),
            "outages": dict(outages),
            "programs": dict(programs),
            "skipped": dict(skipped),
            "environment": first.environment | {"jobs": str(len(reports))},
            "duration_s": max(report.duration_s for report in reports),
            "error": errors[0] if errors else None,
        }
    )


def _merged_rule(rules: Sequence[RuleReport]) -> RuleReport:
    evidence: Counter[str] = Counter()
    for rule in rules:
        evidence.update(rule.evidence)
    statuses = {rule.status for rule in rules}
    ranked: tuple[Status, ...] = ("failed", "not-applicable", "passed", "untested")
    status = next(each for each in ranked if each in statuses)
    return rules[0].model_copy(update={"evidence": dict(sorted(evidence.items())), "status": status})


def _distinct(failures: Sequence[FailureReport]) -> list[FailureReport]:
    """Of failures that tell the same of the same check the one with the shortest program."""
    found: dict[tuple[str, ...], FailureReport] = {}
    for failure in failures:
        story = (failure.check, *failure.rules)
        known = found.get(story)
        if known is None or len(failure.program) < len(known.program):
            found[story] = failure
    return list(found.values())


def _merged_pairs(pairs: Sequence[PairReport]) -> list[PairReport]:
    found: dict[tuple[str, str], PairReport] = {}
    for pair in pairs:
        known = found.get(pair.operations)
        found[pair.operations] = pair if known is None else _merged_pair(known, pair)
    return list(found.values())


def _merged_pair(one: PairReport, other: PairReport) -> PairReport:
    return PairReport(
        operations=one.operations,
        scenarios=one.scenarios + other.scenarios,
        schedules=one.schedules + other.schedules,
        complete=one.complete and other.complete,
    )


@dataclass(slots=True)
class _Total:
    """How far all processes are together."""

    progress: Progress | None
    jobs: int
    _seen: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict[str, dict[int, tuple[int, int]]])
    _ended: set[int] = field(default_factory=set[int])

    def advance(self, number: int, check: str, done: int, total: int) -> None:
        """Process `number` has done so many of its pieces of a check."""
        self._seen.setdefault(check, {})[number] = (done, total)
        self._tell(check)

    def ended(self, number: int) -> None:
        """Process `number` does nothing more; of some checks it may have had no piece."""
        self._ended.add(number)
        for check in [check for check, seen in self._seen.items() if number not in seen]:
            self._tell(check)

    def _tell(self, check: str) -> None:
        if self.progress:
            seen = self._seen[check]
            done, total = (sum(counts) for counts in zip(*seen.values(), strict=True))
            to_begin = self.jobs - len(seen.keys() | self._ended)
            self.progress.advance(check, done, total + to_begin * max(each[1] for each in seen.values()))


class _Share:
    """A process with its share of a run."""

    def __init__(self, context: Any, job: Job, share: slice) -> None:
        self.report: Report | None = None
        self.connection, theirs = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_work, args=(job, share, theirs), daemon=False)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of what can be read

    def read(self, total: _Total, number: int) -> bool:
        """One message; whether more may come."""
        try:
            message = self.connection.recv()
        except EOFError:
            return False
        if isinstance(message, Report):
            self.report = message
        else:
            total.advance(number, *message)
        return True

    def end(self) -> None:
        """Waits for the process; one that does not end is killed."""
        self.connection.close()
        if self.report is None and self.process.is_alive():
            self.process.terminate()
        self.process.join(LEFT_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Told:
    """Tells the parent how far this process is; satisfies session.Progress."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, check: str, done: int, total: int) -> None:
        """See session.Progress."""
        self._connection.send((check, done, total))


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt  # an end in order, as for Ctrl-C


def _work(job: Job, share: slice, connection: Connection) -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        specification = load()
        target = resolve(job.target, specification, job.limit_s)
        report = verify(
            target, specification, job.profile, seed=job.seed, rules=job.rules, progress=_Told(connection), share=share
        )
        connection.send(report)
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the parent is told of it already, or is gone
    finally:
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # the embedded server stops there
