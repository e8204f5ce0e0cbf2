"""What a run of one program does with answers that break a SHOULD only."""

from __future__ import annotations

from typing import Any

from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.programs import Call
from storeproof.conformance.runner import Runner
from storeproof.conformance.targets import made_by
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from storeproof.spec.types import Run
from tests.broken_answers import AnswersExtraField

LOAD = Call("loadRun", {"runId": "r"})
PROGRAM = (Call("createRun", {"runId": "r", "workflowId": "w", "input": 1, "now": 1}), LOAD, LOAD)


class AnswersAnotherInput(MemoryStore):
    async def load_run(self, *, run_id: str) -> Run | None:
        run = await super().load_run(run_id=run_id)
        return None if run is None else run.model_copy(update={"input": 2})


def ran(store: type[Any]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The rules of the tolerated answers, and those of the answer that ended the run."""
    specification = load()
    runner = Runner(made_by(store, "store", specification), Model(specification))
    runner.open()
    try:
        run = runner.run(PROGRAM, closing=None)
    finally:
        runner.close()
    return [judgement.rules for judgement in run.tolerated], run.mismatch.judgement.rules if run.mismatch else ()


def test_a_field_more_ends_no_run_also_when_the_call_is_repeated() -> None:
    assert ran(AnswersExtraField) == ([("answers.extra-fields",)] * 2, ())


def test_another_value_does() -> None:
    assert ran(AnswersAnotherInput) == ([], ("loadRun.found", "values.numbers"))
