"""The examples in JavaScript: their model decides as the Python model does in every step; their runner finds mutants.

That is the proof that the specification and the vectors suffice for another language. Node is needed: a machine without
it fails here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.choices import RandomChoices
from storeproof.conformance.clock import CLOCK_OFFSETS, movable, moved
from storeproof.conformance.closing import closing_steps
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.generation import draw_program, weighted_operations
from storeproof.conformance.idprograms import id_programs, kinds_programs, order_programs
from storeproof.conformance.mutated import answer, mutated_model
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.refusals import crossing_programs
from storeproof.conformance.survivors import survivors
from storeproof.conformance.valueprograms import times_program
from storeproof.conformance.vectors import every_recorded_program, recorded_files, recorded_programs
from storeproof.reference.model import Model, Outcome, Raised
from storeproof.reference.mutants import Mutant
from storeproof.reference.workload import workload
from storeproof.spec.jsonvalues import equal
from storeproof.spec.loader import load
from storeproof.spec.specification import Data
from storeproof.spec.values import MAX_INTEGER
from tests.command_session import storeproof

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "javascript"
MODEL_FILES = ROOT / "spec" / "storeproof" / "spec" / "model"
MODEL = Model(load())


def node(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """`node ARGUMENTS` in the examples' folder."""
    assert shutil.which("node"), "these tests need Node.js 20 or newer; install it (Debian: apt-get install nodejs)"
    return subprocess.run(
        ["node", *map(str, arguments)],
        cwd=EXAMPLES,
        input=given,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_ten_thousand_random_steps_are_decided_alike() -> None:
    programs = [tuple(Call(name, args) for name, args in workload(seed, 1_000)) for seed in range(10)]
    assert agree(programs) == 10_000


def test_drawn_programs_and_the_reading_of_their_states_are_decided_alike() -> None:
    assert agree(_drawn(200)) > 5_000


@pytest.mark.parametrize("kind", ["ids", "order", "times", "crossing", "vectors"])
def test_programs_of_special_values_are_decided_alike(kind: str) -> None:
    """Ids beyond the BMP and such as join to the same text; times to 2^53-1; arguments that only a rule refuses."""
    operations = [name for name, each in MODEL.specification.operations.items() if each.executable]
    recorded = [program for _, program in recorded_programs()]
    programs: dict[str, Iterable[Program]] = {
        "ids": (*id_programs(), *kinds_programs()),
        "order": (program for program, _ in order_programs()),
        "times": (
            *(times_program(MAX_INTEGER - back, MAX_INTEGER) for back in (1, 2, 10)),
            *(moved(MODEL.specification, program, CLOCK_OFFSETS[-1]) for program in recorded if movable(program)),
        ),
        "crossing": (each for name in operations for each in crossing_programs(MODEL.specification, name)),
        "vectors": recorded,
    }
    assert agree(map(closed, programs[kind])) > 100


def test_the_store_passes_all_vectors() -> None:
    ran = node("run-vectors.mjs", "node", "serve-model.mjs")
    calls = sum(len(program) for _, program in every_recorded_program())
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert ran.stdout == f"{len(recorded_files())} of {len(recorded_files())} vectors passed, {calls} calls\n"


def test_a_changed_rule_is_found_in_the_very_lines_in_which_it_shows(tmp_path: Path) -> None:
    """A mutant is data: the model in JavaScript executes it as it executes the right one."""
    mutants = [mutant for mutant in model_mutants(MODEL.specification.data) if mutant.id not in survivors()]
    sample = mutants[:: len(mutants) // 8]
    assert len(sample) >= 8
    for mutant in sample:
        written(mutant.data, tmp_path / "model")
        ran = node("run-vectors.mjs", "node", "serve-model.mjs", "--model", tmp_path / "model")
        assert ran.returncode == 1, (mutant.id, ran)
        told = re.findall(r"^(\S+\.ndjson), line (\d+): ", ran.stdout, re.MULTILINE)
        assert {(file, int(line)) for file, line in told} == set(first_wrong_lines(mutant)), mutant.id


def test_both_runners_find_the_same_lines(tmp_path: Path) -> None:
    data = json.loads(json.dumps(MODEL.specification.data))
    function = data["functions"]["leaseIsFree"]
    function["value"] = function["value"].replace("row.lease.expiresAt <= now", "row.lease.expiresAt < now")
    assert data["functions"] != MODEL.specification.data["functions"]
    written(data, tmp_path / "model")
    command = ("node", EXAMPLES / "serve-model.mjs", "--model", tmp_path / "model")
    without_python = node("run-vectors.mjs", *command)
    with_python = storeproof("vectors", f"stdio:{' '.join(map(str, command))}", folder=tmp_path)
    assert (without_python.returncode, with_python.code) == (1, 1), with_python
    lines = [
        re.findall(r"^\S+\.ndjson, line \d+: ", text, re.MULTILINE) for text in (without_python.stdout, with_python.out)
    ]
    assert lines[0] == lines[1] != []


def test_the_kit_finds_nothing_wrong_with_the_store_over_the_wire(tmp_path: Path) -> None:
    """A part of what `verify` does; the whole takes minutes."""
    rules = ("arguments.unkeepable", "values.numbers", "ids.order", "subscribeEvents")
    selected = [part for rule in rules for part in ("--rule", rule)]
    target = f"stdio:node {EXAMPLES / 'serve-model.mjs'}"
    ran = storeproof("verify", target, "--profile", "quick", "--seed", "1", *selected, folder=tmp_path, timeout_s=240)
    assert (ran.code, ran.err.count("Traceback")) == (0, 0), ran
    assert "conforms (selected rules only): 9 passed" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "COMMAND"),
        (("--vectors", "nowhere", "node"), 2, "DIR"),
        (("no-such-command",), 3, "does not start"),
        (("true",), 3, "ended in mid-run"),
        (("echo", "hello"), 3, "no JSON"),
        (("node", "serve-model.mjs", "--nonsense"), 3, "ended in mid-run with 2"),
    ],
)
def test_the_runner_tells_usage_and_protocol_errors_from_wrong_answers(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = node("run-vectors.mjs", *arguments)
    assert (ran.returncode, ran.stdout) == (code, ""), ran
    assert said in ran.stderr


def test_the_wire_is_spoken_as_it_is_published() -> None:
    sent = [
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":2}}',
        '{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocol":1}}',
        "nonsense",
        "[]",
        "",
        '{"jsonrpc":"2.0","id":3,"method":"dropEverything","params":{}}',
        '{"jsonrpc":"2.0","id":4,"method":"subscribe","params":{"subscription":"s","runId":"r","fromIndex":0}}',
        '{"jsonrpc":"2.0","id":5,"method":"subscribe","params":{"subscription":"s","runId":"r","fromIndex":0}}',
        '{"jsonrpc":"2.0","id":6,"method":"appendEvents","params":'
        '{"runId":"r","expectedNextIndex":0,"events":[{"type":"x\u2028","ts":1,"n":[1e22,0.9007199254740993]}]}}',
        '{"jsonrpc":"2.0","id":7,"method":"createRun","params":{"runId":"r","workflowId":"w","input":9007199254740993,"now":1}}',
        '{"jsonrpc":"2.0","id":8,"method":"createRun","params":{"runId":"r","workflowId":"w","input":"\\ud800","now":1}}',
        f'{{"jsonrpc":"2.0","id":12,"method":"createRun","params":{{"runId":"r","workflowId":"w","input":{10**400},"now":1}}}}',
        '{"jsonrpc":"2.0","id":9,"method":"appendEvents","params":{"runId":"r","expectedNextIndex":2,"events":[]}}',
        '{"jsonrpc":"2.0","id":10,"method":"unsubscribe","params":{"subscription":"s"}}',
        '{"jsonrpc":"2.0","id":11,"method":"shutdown","params":{}}',
    ]
    ran = node("serve-model.mjs", given="".join(f"{line}\n" for line in sent))
    assert (ran.returncode, ran.stderr) == (0, "")
    got = [json.loads(line) for line in ran.stdout.split("\n") if line]
    seen = [(each.get("id"), each.get("error", {}).get("code"), each.get("result", ...)) for each in got]
    events = [each["params"] for each in got if each.get("method") == "event"]
    event = {"type": "x\u2028", "ts": 1, "n": [1e22, 0.9007199254740993]}
    assert events == [{"subscription": "s", "eventIndex": 0, "event": event}]
    assert [each for each in seen if each[2] is ... and each[1]] == [
        (1, -32602, ...), (None, -32700, ...), (None, -32600, ...), (3, -32601, ...),
        (5, -32602, ...), (7, -32602, ...), (8, -32602, ...), (12, -32602, ...), (9, -32001, ...),
    ]  # fmt: skip
    assert [each[0] for each in seen if each[2] is not ...] == [2, 4, 6, 10, 11]
    conflict = next(each["error"]["data"] for each in got if each.get("id") == 9)
    assert conflict == {"name": "LogConflict", "runId": "r", "attemptedIndex": 2}


def test_the_commands_of_the_readme_are_right(tmp_path: Path) -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (node .*?)(?: +#.*)?$", text, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["run-vectors.mjs", "run-vectors.mjs"]
    written(load().data, tmp_path / "my-model")
    for command in commands:
        ran = node(*command.replace("my-model", str(tmp_path / "my-model")).split()[1:])
        assert (ran.returncode, ran.stderr) == (0, ""), command
    named = set(re.findall(r"`([a-z-]+\.mjs)`", text))
    assert named == {path.name for path in EXAMPLES.glob("*.mjs")}


def agree(programs: Iterable[Program]) -> int:
    """How many steps were compared; every outcome and every list of rules has to be the same."""
    sent: list[str] = []
    expected: list[tuple[Call, dict[str, Any]]] = []
    for program in programs:
        sent.append('{"reset":true}')
        state = MODEL.initial()
        for call in program:
            step = MODEL.step(state, call.operation, call.args)
            state = step.state
            sent.append(json.dumps({"op": call.operation, "args": call.args}))
            expected.append((call, {**_outcome_data(step.outcome), "rules": list(step.rules)}))
    ran = node(
        Path(__file__).with_name("step_model.mjs"),
        EXAMPLES / "model.mjs",
        MODEL_FILES,
        given="".join(f"{line}\n" for line in sent),
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    got = [json.loads(line) for line in ran.stdout.split("\n") if line]
    for actual, (call, wanted) in zip(got, expected, strict=True):
        assert equal(actual, wanted), f"{call}: {actual}, and not {wanted}"
    return len(got)


def closed(program: Program) -> Program:
    """The program and the steps that read all of its state."""
    state = MODEL.initial()
    for call in program:
        state = MODEL.step(state, call.operation, call.args).state
    return (*program, *closing_steps(MODEL, state, program))


def first_wrong_lines(mutant: Mutant) -> Iterator[tuple[str, int]]:
    """(file, line) of the first answer of every vector that a wrong model gives otherwise than the right one."""
    wrong = mutated_model(mutant)
    for name, program in every_recorded_program():
        state, wrong_state = MODEL.initial(), wrong.initial()
        for number, call in enumerate(program, 2):
            if call.refused:
                continue
            state, right_outcome = answer(MODEL, state, call.operation, call.args)
            wrong_state, outcome = answer(wrong, wrong_state, call.operation, call.args)
            if not _right(right_outcome, outcome):
                yield f"{name}.ndjson", number
                break


def _right(expected: Outcome, actual: Outcome) -> bool:
    if expected.__class__ is actual.__class__ and isinstance(expected, Raised) and isinstance(actual, Raised):
        return expected.name == actual.name and equal(expected.data, actual.data)
    return equal(_outcome_data(expected), _outcome_data(actual))


def written(data: Data, folder: Path) -> None:
    """The model files of a specification's data, as far as they are executed."""
    (folder / "operations").mkdir(parents=True, exist_ok=True)
    for name in ("relations", "functions"):
        (folder / f"{name}.json").write_text(json.dumps(data[name]), encoding="utf-8")
    for name, operation in data["operations"].items():
        (folder / "operations" / f"{name}.json").write_text(json.dumps(operation), encoding="utf-8")


def _drawn(count: int) -> Iterator[Program]:
    operations = [name for name, each in MODEL.specification.operations.items() if each.executable]
    for seed in islice(range(count), count):
        weighted = weighted_operations(MODEL.specification, operations[seed % len(operations)])
        yield closed(draw_program(RandomChoices(seed), MODEL, weighted, 16))


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Raised):
        return {"error": {"name": outcome.name, "data": outcome.data}}
    return {"result": outcome.value}
