"""The pages made from the specification: current, complete, and right about the model where they draw a conclusion."""

import asyncio
import json
import re
from collections.abc import Awaitable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from specpages.__main__ import main, stale
from specpages.charts import CHARTS, chart_edges, happenings
from specpages.chartsvg import chart_svg
from specpages.pages import BANNER, made_pages, rule_page, signature
from specpages.programs import as_python, recorded
from specpages.shapes import bounds
from specpages.transitions import TIME, Subject, edges, found
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.vectors import recorded_programs
from storeproof.reference.model import Model
from storeproof.spec.errors import LogConflict
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification
from storeproof.spec.types import Shape

SPECIFICATION = load()


@cache
def pages() -> dict[str, str]:
    return made_pages()


def with_programs() -> list[str]:
    return sorted(name for name, text in pages().items() if "\n#> " in text)


def test_the_pages_are_current() -> None:
    assert stale(pages()) == [], "python -m specpages writes them anew"


def test_a_changed_a_missing_and_a_foreign_page_are_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specpages.__main__.DOCS", tmp_path)
    monkeypatch.setattr("specpages.__main__.made_pages", lambda: {f"specification/{n}.md": n for n in "abc"})
    (tmp_path / "specification").mkdir()
    for name, text in {"a": "a", "b": "changed", "d": "d"}.items():
        (tmp_path / f"specification/{name}.md").write_text(text, encoding="utf-8")
    assert stale({f"specification/{n}.md": n for n in "abc"}) == [f"specification/{n}.md" for n in "bcd"]
    assert main(["--check"]) == 1
    assert main(["--chekc"]) == 2
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_every_page_says_that_it_is_made_and_of_what() -> None:
    assert len(pages()) == 12 + len(SPECIFICATION.operations)
    assert all(text.startswith(BANNER + "\n") for text in pages().values())


def test_every_rule_has_its_place_and_stands_in_the_index() -> None:
    index = pages()["specification/rules.md"]
    for rule in SPECIFICATION.rules.values():
        page, anchor = rule_page(rule).split("#")
        assert anchor == rule.id
        text = pages()[f"specification/{page}"]
        assert len(re.findall(rf"^###? {re.escape(rule.id)} {{#{re.escape(rule.id)}}}$", text, re.MULTILINE)) == 1, rule
        assert rule.says in text
        assert rule.why in text
        assert f"| [{rule.id}]({rule_page(rule)}) | {rule.level} |" in index


def test_every_guard_of_an_operation_stands_in_its_decision_table() -> None:
    text = pages()["specification/operations/claimDueScheduleBuckets.md"]
    rows = [line for line in text.split("\n") if re.match(r"\| \d+ \|", line)]
    assert len(rows) == len(SPECIFICATION.operations["claimDueScheduleBuckets"].data["rules"]) == 8
    assert "<code>bucket != null &amp;&amp; bucket.status == 'started'</code>" in rows[4]
    assert "puts `scheduleBuckets`" in rows[7]


def test_signatures_have_every_argument() -> None:
    for operation in SPECIFICATION.operations.values():
        properties = SPECIFICATION.contract["$defs"][operation.arguments]["properties"]
        own = re.findall(r"^    (\w+): ", signature(operation.name), re.MULTILINE)
        assert len(own) == len(properties) + (operation.name == "subscribeEvents")


# State diagrams


@pytest.mark.parametrize("name", CHARTS)
def test_a_diagram_lays_out_exactly_the_edges_there_are(name: str) -> None:
    assert {(edge.source, edge.target) for edge in chart_edges(name)} == CHARTS[name].routes.keys()


@pytest.mark.parametrize("name", CHARTS)
def test_edges_between_groups_stand_for_what_happens_and_for_nothing_else(name: str) -> None:
    groups, happened = CHARTS[name].groups, happenings(name)
    for rule, pairs in happened.pairs.items():
        drawn = {
            (source, target)
            for edge in chart_edges(name)
            if rule in edge.rules
            for source in groups[edge.source]
            for target in groups[edge.target]
        }
        assert pairs <= drawn
        assert drawn - pairs <= {(state, state) for state in happened.kept.get(rule, ())}


def test_the_diagram_of_a_run_agrees_with_the_recorded_vectors() -> None:
    model, drawn, seen = Model(SPECIFICATION), happenings("run").pairs, 0
    for name, program in recorded_programs():
        state = model.initial()
        for call in program:
            step = model.step(state, call.operation, call.args)
            before, after = state["runs"], step.state["runs"]
            for run in before.keys() | after.keys():
                pair = tuple(table[run]["status"] if run in table else "no run" for table in (before, after))
                if pair[0] != pair[1]:
                    seen += 1
                    assert any(pair in drawn.get(rule, ()) for rule in step.rules), (name, call)
            state = step.state
    assert seen > 100


def test_a_diagram_follows_the_model() -> None:
    data = deepcopy(SPECIFICATION.data)
    rules = data["operations"]["claimRun"]["rules"]
    data["operations"]["claimRun"]["rules"] = [rule for rule in rules if rule["id"] != "claimRun.terminal"]
    chart = CHARTS["run"]
    wrong = edges(found(Specification.from_data(data), chart.subjects, chart.states, chart.watched), chart.groups)
    assert [edge.source for edge in wrong if "claimRun.claimed" in edge.rules] == ["any run"]
    assert [edge.source for edge in chart_edges("run") if "claimRun.claimed" in edge.rules] == ["not ended"]
    svg = chart_svg(chart, wrong, lambda rule: f"x#{rule}")
    assert svg.count('href="x#claimRun.claimed"') == 1


def test_a_rule_that_no_call_reaches_cannot_be_left_off_in_silence() -> None:
    chart = CHARTS["bucket"]
    (subject,) = chart.subjects
    lame = Subject(subject.relation, subject.key, lambda now: subject.calls(now)[:2], 2)
    with pytest.raises(ValueError, match=r"never reach .*markScheduleBucketStarted\.started"):
        found(SPECIFICATION, (lame,), chart.states, chart.watched)


def test_states_that_overlap_are_refused() -> None:
    chart = CHARTS["bucket"]
    with pytest.raises(ValueError, match="handed out and again"):
        found(SPECIFICATION, chart.subjects, {**chart.states, "again": chart.states["handed out"]}, chart.watched)


def test_every_label_of_a_diagram_is_a_link_to_its_rule() -> None:
    text = pages()["specification/states.md"]
    for name in CHARTS:
        for edge in chart_edges(name):
            for rule in edge.rules:
                if rule != TIME:
                    assert f'<a href="operations/{SPECIFICATION.rules[rule].operation}.html#{rule}">' in text


# Programs


@pytest.mark.parametrize("page", with_programs())
def test_programs_run_as_they_stand_on_the_memory_store(page: str) -> None:
    blocks = re.findall(r"```python\n(await .*?)```", pages()[page], re.DOTALL)
    assert len(blocks) == (13 if page.endswith("hazards.md") else 1)
    for block in blocks:
        said = [json.loads(text) for text in answers(block)]
        assert len(said) > 0
        assert asyncio.run(executed(block)) == said


async def executed(block: str) -> list[Any]:
    """What a new memory store answers to the calls of a block, each in wire form."""
    names: dict[str, Any] = {}
    calls = [f"    await told({call})" for call in calls_of(block)]
    exec("async def program(store, told):\n" + "\n".join(calls), names)
    done: list[Any] = []

    async def told(coroutine: Awaitable[Any]) -> None:
        try:
            done.append(in_wire_form(await coroutine))
        except LogConflict as conflict:
            data = {"runId": conflict.run_id, "attemptedIndex": conflict.attempted_index, "existing": conflict.existing}
            done.append({"LogConflict": data})

    await names["program"](MemoryStore(), told)
    return done


def in_wire_form(answer: Any) -> Any:
    if isinstance(answer, Shape):
        return answer.to_wire()
    return list(map(in_wire_form, answer)) if answer is not None else None


def calls_of(block: str) -> list[str]:
    text = re.sub(r"^#.*\n", "", block, flags=re.MULTILINE)
    return [call.strip() for call in text.split("await ") if call.strip()]


def answers(block: str) -> list[str]:
    """The comments of a block, the lines of each answer joined."""
    lines = re.sub(r"\n#  ", " ", block).split("\n")
    return [line.removeprefix("#> ") for line in lines if line.startswith("#> ")]


def test_a_program_in_which_other_rules_decide_is_refused() -> None:
    calls = [{"op": "loadRun", "args": {"runId": "r"}}]
    assert as_python(recorded(SPECIFICATION, calls, ["loadRun.unknown"])) == "await store.load_run(run_id='r')\n#> null"
    with pytest.raises(ValueError, match=r"decided by loadRun\.unknown; the page says loadRun\.found"):
        recorded(SPECIFICATION, calls, ["loadRun.found"])
    with pytest.raises(ValueError, match="loadRun: runId"):
        recorded(SPECIFICATION, [{"op": "loadRun", "args": {"runId": ""}}])


def test_a_constraint_without_words_is_refused() -> None:
    assert bounds({"type": "string", "pattern": "^[0-9]{1,16}$"}) == "1 to 16 ASCII digits"
    with pytest.raises(ValueError, match="keywords without words: multipleOf"):
        bounds({"type": "integer", "multipleOf": 2})
    with pytest.raises(ValueError, match="a pattern without words"):
        bounds({"type": "string", "pattern": "^a$"})
