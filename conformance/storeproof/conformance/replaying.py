"""`storeproof replay`: runs the program of a repro file again and says whether it still fails, and how."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from storeproof.conformance.cuts import rerun_cut
from storeproof.conformance.encounterload import repeated
from storeproof.conformance.failures import HarnessError, UsageError, require_verdict
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.judgement import misordered, show_outcome
from storeproof.conformance.points import Cut
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.programs import REOPEN, as_python
from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.racefailures import told
from storeproof.conformance.racefindings import TRIES_ALONE
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Tried, explore, rerun
from storeproof.conformance.report import FailureReport, Report
from storeproof.conformance.repro import Repro, load, program_of, scenario_of
from storeproof.conformance.runner import Run, Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.conformance.targets import Target, resolve
from storeproof.conformance.terminal import say
from storeproof.conformance.verify import verify
from storeproof.conformance.wirereplays import replay_over_wire
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Model
from storeproof.spec.loader import load as load_specification
from storeproof.spec.specification import Specification

MOST_REPETITIONS = 100


def replay_file(console: Console, file: Path, target_name: str | None, limit_s: float) -> int:
    """1 where it still fails, 0 where it does not; raises UsageError and HarnessError."""
    specification = load_specification()
    repro = load(file, specification)
    name = target_name or repro.target
    if ":***@" in name:
        raise UsageError(f"{file} was saved without the password of {name}; give the address with --target")
    target = resolve(name, specification, limit_s)
    how = _race if repro.clients else _program if repro.program else _scene
    found = how(repro, target, specification)
    if found is None:
        say(console, f"{target.name}: it no longer fails ({', '.join(repro.rules)})")
        return 0
    say(console, f"{target.name}: it still fails", "bold red")
    if not set(found.rules) & set(repro.rules):
        say(console, f"but otherwise than when it was saved: that was {', '.join(repro.rules)}")
    shown = found.model_copy(update={"repro": str(file)})
    say(console, failure_text(shown, specification, target.name, min(console.width, 120)))
    return 1


def _program(repro: Repro, target: Target, specification: Specification) -> FailureReport | None:
    program = program_of(repro)
    runner = Runner(target, Model(specification))
    try:
        runner.open()
        if "durable" not in target.capabilities and any(call.operation == REOPEN for call in program):
            raise UsageError(f"{target.name} is not durable, and the program closes and reopens the store")
        # A database may put rows in order by chance: once is not enough to say that it does.
        for _ in range(TRIES_ALONE if misordered(runner.model, repro.rules) else 1):
            found = _failure(repro, runner.run(program))
            if found is not None:
                return found
        return None
    finally:
        runner.close()


def _failure(repro: Repro, run: Run) -> FailureReport | None:
    """Told with the rules of the file where one of them is broken still: finding the blame took many more runs."""
    saved = FailureReport(
        **repro.model_dump(exclude={"format", "storeproof", "specification", "target", "seed", "python", "program"}),
        program=[step.model_dump() for step in repro.program],
        python=as_python(program_of(repro)),
    )
    found = run.mismatch
    if found is None:
        tolerated = [judgement for judgement in run.tolerated if judgement.rules[0] in repro.rules]
        return saved if tolerated else None
    call = f"{'reading the state: ' if found.closing else ''}{found.call.as_python()}"
    update = {
        "message": f"{call}: {found.judgement.message}",
        "expected": show_outcome(found.expected.outcome),
        "actual": show_outcome(found.actual),
        "step": found.index + 1,
    }
    if (found.index + 1, update["actual"]) != (saved.step, saved.actual):
        update |= {"rules": list(found.judgement.rules), "wrong_after": None}
    return FailureReport.model_validate(saved.model_dump() | update)


def _race(repro: Repro, target: Target, specification: Specification) -> FailureReport | None:
    """The saved schedule, exactly; where that is right, as it may be on another target, every schedule there is."""
    scenario = scenario_of(repro)
    cut = None if repro.cut is None else Cut(repro.cut.client, repro.cut.at, repro.cut.when)
    runner = Runner(target, Model(specification))
    try:
        runner.open()
        with opened_stage(runner) as stage:
            if stage is None:
                raise UsageError(f"several clients cannot meet on {target.name}")
            if isinstance(stage, WireStage):
                found = runner.wait(replay_over_wire(stage, runner.model, scenario, cut, repro.rules))
            else:
                found = runner.wait(_raced(stage, runner.model, scenario, repro, cut))
    finally:
        runner.close()
    return None if found is None else told(repro.check, found, runner.model)


async def _raced(stage: Stage, model: Model, scenario: Scenario, repro: Repro, cut: Cut | None) -> Tried | None:
    readings = Readings()
    if repro.check == "histories":
        # Nobody chose its schedule, so nobody can choose it again: it is tried, many times.
        load = await repeated(stage, model, scenario, readings, MOST_REPETITIONS)
        require_verdict("the race", load.unknown, load.skipped)
        return Tried(scenario, load.wrong, load.encounter) if load.wrong and load.encounter else None
    if cut is not None:
        return await rerun_cut(stage, model, scenario, readings, repro.schedule, cut)
    found = await rerun(stage, model, scenario, readings, repro.schedule, None)
    if found is not None:
        return found
    exploration = await explore(stage, model, scenario, readings)
    require_verdict("the race", exploration.unknown, exploration.skipped)
    return exploration.tried(scenario)


def _scene(repro: Repro, target: Target, specification: Specification) -> FailureReport | None:
    """A scene has no program: the rule's own check is run again."""
    report: Report = verify(
        target, specification, PROFILES["quick"], seed=repro.seed, rules=repro.rules, checks=(repro.check,)
    )
    if report.error:
        raise HarnessError(report.error)
    return report.failures[0] if report.failures else None
