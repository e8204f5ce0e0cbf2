"""`storeproof vectors`: what is wrong is told by file, line, rules and values; exit codes are those of verify."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.programs import method_name
from storeproof.conformance.runner import Runner
from storeproof.conformance.targets import made_by
from storeproof.conformance.vectorruns import Found, verdict
from storeproof.conformance.vectors import every_recorded_program, recorded_files
from storeproof.reference.model import Model
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.loader import load
from tests.command_session import storeproof

VECTORS = len(recorded_files())


@pytest.mark.parametrize("target", ["memory:", "sqlite::memory:"])
def test_a_right_store_passes_them_all(target: str, tmp_path: Path) -> None:
    ran = storeproof("vectors", target, folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (0, False), ran
    assert f"{target}  {VECTORS} of {VECTORS} vectors passed" in ran.out
    assert "\x1b" not in ran.out
    rows = dict(re.findall(r"^(\w+)\s+(\d+)\s+\2\s*$", ran.out, re.MULTILINE))
    operations = [name for name, each in load().operations.items() if each.executable]
    assert rows.keys() == set(operations)
    assert sum(map(int, rows.values())) == VECTORS


def test_a_wrong_answer_is_told_by_file_line_rules_and_values(tmp_path: Path) -> None:
    ran = storeproof("vectors", "report_stores:Steals", folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (1, False), ran
    places = re.findall(r"^(\S+\.ndjson), line (\d+): (\w+)$", ran.out, re.MULTILINE)
    assert {"claimRun", "claimDueTimers", "claimDueScheduleBuckets"} <= {operation for *_, operation in places}
    assert f"{VECTORS - len(places)} of {VECTORS} vectors passed" in ran.out
    assert re.search(r"^  broke +claimRun\.leased \(MUST\): ", ran.out, re.MULTILINE)
    file, number, operation = next(place for place in places if place[2] == "claimRun")
    told = ran.out.split(f"{file}, line {number}: {operation}\n")[1].split("\n\n")[0]
    recorded = json.loads(recorded_files()[file].split("\n")[int(number) - 1])
    assert recorded["op"] == operation
    assert f"rules      {', '.join(recorded['rules'])}\n" in told
    assert f"arguments  {json.dumps(recorded['args'])}\n" in told
    assert f"expected   {json.dumps({'result': recorded['result']})}\n" in told
    assert '"kind": "claimed"' in told.split("  actual")[1]


def test_what_only_a_should_forbids_is_told_and_is_no_failure(tmp_path: Path) -> None:
    ran = storeproof("vectors", "report_stores:ListsTiesBackwards", folder=tmp_path)
    assert "broke      listRuns.ties (SHOULD)" in ran.out, ran
    assert (ran.code, "never exercised" in ran.out) == (0, False)


@pytest.mark.parametrize(
    ("missing", "code", "said"), [((), 0, ""), (("claimRun.leased",), 1, "never exercised: claimRun.leased")]
)
def test_rules_that_no_call_reached_are_no_pass(
    missing: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    specification = load()
    reached = {rule: 1 for rule in specification.rules if rule not in missing}
    found = Found(passed=["claimRun-1"], exercised=Counter(reached))
    assert verdict(Console(), specification, "memory:", found) == code
    assert said in capsys.readouterr().out


def test_after_three_calls_that_hang_the_kit_cannot_tell(tmp_path: Path) -> None:
    ran = storeproof("vectors", "report_stores:Hangs", "--limit-s", "0.2", folder=tmp_path)
    assert ran.code == 1  # a MUST is broken, whatever the others would have shown
    assert "cannot tell: 3 vectors ended in a call that hung" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("memroy:",), 2, "unknown target"),
        ((), 2, "name a target"),
        (("report_stores:failing",), 3, "no container could be started"),
        (("report_stores:failing_later",), 3, "the container is gone"),
    ],
)
def test_what_cannot_be_run_is_no_failure_of_a_store(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    ran = storeproof("vectors", *arguments, folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (code, False), ran
    assert said in ran.out + ran.err


def test_the_list_names_every_file_and_every_rule(tmp_path: Path) -> None:
    ran = storeproof("vectors", "--list", folder=tmp_path)
    assert ran.code == 0
    assert re.findall(r"^(\S+\.ndjson)  \d+ calls$", ran.out, re.MULTILINE) == sorted(recorded_files())
    rules = {rule.id for rule in load().rules.values() if rule.kind != "promise"}
    assert rules <= set(ran.out.split())


def test_each_operation_that_refuses_nothing_is_found() -> None:
    specification = load()
    operations = [name for name, each in specification.operations.items() if each.executable]
    programs = dict(every_recorded_program())
    for name in operations:
        target = made_by(partial(_careless, name), name, specification)
        runner = Runner(target, Model(specification))
        try:
            runner.open()
            found = runner.run(programs[f"{name}-refusals"], None).mismatch
        finally:
            runner.close()
        assert found is not None, name
        assert found.judgement.rules[0] in (f"{name}.arguments", "arguments.unkeepable"), found


def _careless(operation: str) -> AbstractAsyncContextManager[MemoryStore]:
    """A store that looks at no argument of one operation, and answers nothing where others refuse."""
    store = MemoryStore()
    method = getattr(store, method_name(operation))

    async def careless(**given: Any) -> Any:
        with suppress(InvalidArgument, TypeError):
            return await method(**given)

    setattr(store, method_name(operation), careless)
    return nullcontext(store)
