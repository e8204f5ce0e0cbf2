"""`storeproof verify`: several targets one after the other, one table, files, one exit code.

Everything that was asked for is looked at before anything runs, so that a long run does not end in a misspelt name.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from storeproof.conformance.claims import Claim, read_claim
from storeproof.conformance.failures import UsageError
from storeproof.conformance.outputs import Outputs
from storeproof.conformance.profiles import PROFILES, Profile
from storeproof.conformance.progress import RunProgress
from storeproof.conformance.report import FailureReport, Report
from storeproof.conformance.repro import save
from storeproof.conformance.shards import Job, verify_in_shares
from storeproof.conformance.targets import REFERENCE_TARGETS, Target, is_one_place, resolve
from storeproof.conformance.terminal import print_reports, say
from storeproof.conformance.verify import selection, verify
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was asked for; `limit_s` is seconds per operation."""

    targets: tuple[str, ...]
    profile: str
    seed: int | None
    rules: tuple[str, ...]
    outputs: Outputs
    limit_s: float
    repro_dir: Path
    jobs: int = 1
    claim: Path | None = None
    quiet: bool = False


def verify_targets(request: Request, output: Console | None = None, messages: Console | None = None) -> int:
    """The exit code: the worst of all targets, 3 over 1 over 0.

    Raises UsageError and HarnessError while nothing has run yet.
    """
    output = output or Console(highlight=False, markup=False)
    messages = messages or Console(stderr=True, highlight=False, markup=False)
    progress_console = Console(quiet=True) if request.quiet else messages
    specification = load()
    profile = _profile(request.profile)
    selection(specification, request.rules)
    request.outputs.check()
    claim = _claim(request, specification)
    targets = [resolve(name, specification, request.limit_s) for name in request.targets or REFERENCE_TARGETS]
    for target in targets:
        if request.jobs > 1 and is_one_place(target.name):
            raise UsageError(f"{target.name} is one place, where only one process can work; leave --jobs out")
    seed = random.SystemRandom().randrange(2**32) if request.seed is None else request.seed
    say(progress_console, f"storeproof verify, profile {profile.name}, seed {seed}")
    saver = _Saver(request.repro_dir, seed, specification, messages)
    reports: list[Report] = []
    for target in targets:
        with RunProgress(progress_console, target.name) as progress:
            on_failure = saver.for_target(target)
            if request.jobs > 1:
                job = Job(target.name, profile, seed, request.rules, request.limit_s)
                report = verify_in_shares(job, request.jobs, progress, on_failure)
            else:
                report = verify(
                    target,
                    specification,
                    profile,
                    seed=seed,
                    rules=request.rules,
                    progress=progress,
                    on_failure=on_failure,
                    claim=claim,
                )
        reports.append(report)
        request.outputs.write(reports, specification)  # each time: what was found stays, whatever comes next
    print_reports(output, reports, specification, quiet=request.quiet)
    return max(exit_code(report) for report in reports)


def exit_code(report: Report) -> int:
    """0 conforms, 1 fails or partial, 3 unknown."""
    return {"conforms": 0, "fails": 1, "partial": 1, "unknown": 3}[report.verdict]


@dataclass(slots=True)
class _Saver:
    folder: Path
    seed: int
    specification: Specification
    messages: Console

    def for_target(self, target: Target) -> _TargetSaver:
        return _TargetSaver(self, target)


@dataclass(slots=True)
class _TargetSaver:
    saver: _Saver
    target: Target

    def __call__(self, failure: FailureReport) -> FailureReport:
        saver = self.saver
        try:
            path = save(failure, self.target.name, saver.seed, saver.folder, saver.specification)
        except OSError as error:
            say(saver.messages, f"storeproof: the repro file could not be saved in {saver.folder}: {error}")
            return failure
        return failure.model_copy(update={"repro": str(path)})


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise UsageError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
    return dataclasses.replace(PROFILES[name])


def _claim(request: Request, specification: Specification) -> Claim | None:
    if request.claim is None:
        return None
    if len(request.targets) != 1:
        raise UsageError("a claim is about one adapter: name one target with --claim")
    if request.jobs > 1:
        raise UsageError("whether an entry of a claim is stale only a whole run can tell; leave --jobs out")
    return read_claim(request.claim, specification)
