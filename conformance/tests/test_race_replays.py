"""What was found of several clients comes again as it was: from its file, twenty of twenty times, and by command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.cli import app
from storeproof.conformance.cuts import rerun_cut
from storeproof.conformance.failures import UsageError
from storeproof.conformance.points import Cut
from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.racefailures import told
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Tried, rerun
from storeproof.conformance.report import FailureReport
from storeproof.conformance.repro import Repro, load, save, scenario_of
from storeproof.conformance.runner import Runner
from storeproof.conformance.stages import Stage
from tests.command_session import unfit
from tests.race_stages import MODEL, SPECIFICATION, first_failure, opened, racy, target
from tests.races import Backend
from typer.testing import CliRunner, Result

pytestmark = pytest.mark.races


REPETITIONS = 20


@dataclass(frozen=True, slots=True)
class Defect:
    """A racy store, and what the kit has to say of it."""

    backend: Backend
    name: str
    rule: str
    """The likeliest."""
    operations: tuple[tuple[str, ...], ...]
    """What the clients call in the minimal scenario."""
    when: str | None = None
    """How a client is cut off."""

    def __str__(self) -> str:
        return f"{self.backend}-{self.name}"


def _two(operation: str) -> tuple[tuple[str, ...], ...]:
    return ((operation,), (operation,))


_BOTH = (
    # two owners
    ("ClaimTwoWinners", "claims.exclusive", _two("claimRun"), None),
    # check, then act
    ("SignalCheckThenAct", "atomic.linearizable", _two("deliverSignal"), None),
    # a read of two moments
    ("LoadExecutionTorn", "reads.snapshot", (("loadExecution",), ("deleteRun",)), None),
    # rows left out that nobody took
    ("TimersLost", "claimDueTimers.omission", _two("claimDueTimers"), None),
    # a lost update
    ("AppendLost", "atomic.linearizable", _two("appendEvents"), None),
    # half done when its client dies
    ("AppendRowByRow", "atomic.cut", (("appendEvents",),), "after"),
    # done twice when an answer is lost
    ("CreateAgainWhenLost", "atomic.linearizable", (("createRun",),), "lost"),
    # answered before it is done
    ("FinishAnswersFirst", "atomic.acknowledged", (("markRunFinished",),), "answered"),
)
DEFECTS = [
    *(Defect("sqlite", *each) for each in _BOTH),
    *(Defect("postgresql", *each) for each in _BOTH),
    # the driver's own error
    Defect("sqlite", "CreateSelectThenInsert", "answers.taxonomy", _two("createRun")),
    Defect("postgresql", "ScheduleDeletedThenInserted", "answers.taxonomy", _two("upsertSchedule")),
]
"""One for each kind of defect."""


@pytest.mark.parametrize("defect", DEFECTS, ids=str)
def test_it_is_found_made_small_and_comes_again(defect: Defect, tmp_path: Path) -> None:
    store = racy(defect.backend, defect.name)
    check = "cuts" if defect.when else "interleavings"
    with opened(target(defect.backend, store.store)) as runner:
        failure = first_failure(runner, check, store.store)
        assert failure.rules[0] == defect.rule
        assert set(failure.rules) & store.expected
        assert tuple(tuple(step["op"] for step in client) for client in failure.clients) == defect.operations
        assert sum(map(len, failure.clients)) <= 3
        assert len(failure.program) <= 2
        assert (failure.cut and failure.cut.when) == defect.when

        path = save(failure, f"{defect.backend}:", 0, tmp_path, SPECIFICATION)
        repro = load(path, SPECIFICATION)
        assert unfit("repro", json.loads(path.read_text())) == []
        for name in FailureReport.model_fields.keys() & Repro.model_fields.keys() - {"program", "clients"}:
            assert getattr(repro, name) == getattr(failure, name)
        with opened_stage(runner) as stage:
            assert stage is not None
            for _ in range(REPETITIONS):
                found = again(runner, stage, repro)
                assert found is not None
                assert told(check, found, MODEL) == failure
    assert replayed(path, f"tests.race_stages:{defect.backend}.{defect.name}") == (1, defect.rule)
    assert replayed(path, f"{defect.backend}:") == (0, None)


def again(runner: Runner, stage: Stage, repro: Repro) -> Tried | None:
    """With nothing known from the runs before."""
    scenario, readings = scenario_of(repro), Readings()
    if repro.cut is None:
        return runner.wait(rerun(stage, MODEL, scenario, readings, repro.schedule, None))
    cut = Cut(repro.cut.client, repro.cut.at, repro.cut.when)
    return runner.wait(rerun_cut(stage, MODEL, scenario, readings, repro.schedule, cut))


def replayed(path: Path, name: str) -> tuple[int, str | None]:
    """The exit code of the command, and the rule that is broken still."""
    ran = command("replay", str(path), "--target", name)
    said = [line.split(":")[0].removeprefix("broke ") for line in ran.output.split("\n") if line.startswith("broke ")]
    assert ("it still fails" in ran.output, "it no longer fails" in ran.output) == (bool(said), not said), ran.output
    assert "but otherwise" not in ran.output
    return ran.exit_code, said[0] if said else None


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The repro of a race on SQLite."""
    store = racy("sqlite", "ClaimTwoWinners")
    with opened(target("sqlite", store.store)) as runner:
        failure = first_failure(runner, "interleavings", store.store)
    return save(failure, "sqlite:", 0, tmp_path, SPECIFICATION)


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


def test_a_schedule_that_leads_nowhere_is_no_excuse(saved: Path) -> None:
    """On another store the statements are others; then every schedule is tried."""
    assert replayed(changed(saved, schedule=[]), "tests.race_stages:sqlite.ClaimTwoWinners") == (1, "claims.exclusive")
    assert replayed(saved, "sqlite:") == (0, None)


def test_the_target_of_the_file_is_the_one_that_is_meant(saved: Path) -> None:
    ran = command("replay", str(saved))
    assert (ran.exit_code, ran.output.split(":")[0]) == (0, "sqlite")


def test_another_defect_is_told_as_another(saved: Path) -> None:
    """The file says that another rule broke than the one that does now."""
    file = changed(saved, rules=["reads.snapshot"])
    ran = command("replay", str(file), "--target", "tests.race_stages:sqlite.ClaimTwoWinners")
    assert ran.exit_code == 1
    assert "but otherwise than when it was saved: that was reads.snapshot" in ran.output


def test_on_a_store_that_shares_one_object_it_is_run_as_far_as_it_can_be_steered(saved: Path) -> None:
    assert replayed(saved, "memory:") == (0, None)


_NO_RACES: dict[str, dict[str, Any]] = {
    "operation": {"clients": [[{"op": "noSuchOperation", "args": {}, "refused": None}]]},
    "value": {"clients": [[{"op": "loadRun", "args": {"runId": {"$json": "["}}, "refused": None}]]},
    "shape": {"clients": [{"op": "loadRun"}]},
    "schedule": {"schedule": ["A"]},
    "cut": {"cut": {"client": 0, "at": 0, "when": "now and then"}},
}


@pytest.mark.parametrize("fields", _NO_RACES.values(), ids=_NO_RACES)
def test_a_race_of_something_else_is_refused(saved: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=saved.name):
        load(changed(saved, **fields), SPECIFICATION)
    ran = command("replay", str(saved))
    assert ran.exit_code == 2


def test_a_repro_from_before_races_still_loads(saved: Path) -> None:
    data = json.loads(saved.read_text())
    for name in ("clients", "schedule", "cut", "moments", "states"):
        del data[name]
    saved.write_text(json.dumps(data))
    repro = load(saved, SPECIFICATION)
    assert (repro.clients, repro.schedule, repro.cut) == ([], [], None)
    assert replayed(saved, "sqlite:") == (0, None)
