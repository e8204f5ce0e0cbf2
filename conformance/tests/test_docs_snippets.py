"""What the documentation tells people to type or to copy: every command is one the program takes, every snippet runs.

The README's snippets are in test_readme, those about races in test_docs_races; the programs of the track record, which
are shortened there, are repro files that `make tanstack-test` replays.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
import typer
import yaml
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.claims import read_claim
from storeproof.conformance.cli import app
from storeproof.conformance.embedded import embedded_url
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.loader import load
from tests.test_vectors import line_validator
from tests.test_wire_schema import unfit

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
SPECIFICATION = load()
RUN_ELSEWHERE = {"README.md", "races.md", "track-record.md"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def typed_lines(program: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for line in re.findall(rf"^    ({program} .+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            yield page.name, re.split(r" {2,}", line)[0]


COMMANDS = sorted(set(typed_lines("storeproof")))


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[line for _page, line in COMMANDS])
def test_the_command_takes_it(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(re.sub(r"[\[\]]", "", line), comments=True)[1:]
    for word in words:
        if word.endswith((".json", ".toml")) or word in ("FILE", "A", "B"):
            (tmp_path / word).parent.mkdir(exist_ok=True)
            (tmp_path / word).touch()
    group: Any = typer.main.get_command(app)
    with group.make_context("storeproof", list(words)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        with command.make_context(name, rest, parent=context):
            pass


def test_a_command_that_is_not_there_is_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        test_the_command_takes_it("x", "storeproof verify --profil quick", Path.cwd(), pytest.MonkeyPatch())


def test_make_has_every_target() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {line.split()[1] for _page, line in typed_lines("make")}
    assert named
    assert named <= rules


def test_every_extra_that_pip_is_asked_for_is_there() -> None:
    extras = set(metadata("storeproof").get_all("Provides-Extra") or ())
    named = {name for _page, line in typed_lines("pip") for name in re.findall(r"storeproof\[(\w+)\]", line)}
    assert named
    assert named <= extras


def test_pytest_takes_the_options_of_the_ci_page(tmp_path: Path) -> None:
    lines = [line for page, line in typed_lines("pytest") if page == "ci.md"]
    assert len(lines) == 2
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    for line in lines:
        words = shlex.split(line.replace('"$(date +%Y%m%d)"', "20261125"))[1:]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider"], cwd=tmp_path, check=False, timeout=120
        )
        assert done.returncode == 0, line


def test_no_snippet_of_python_is_left_out() -> None:
    found = {page.name: len(blocks(page, "python")) for page in PAGES if page.name not in RUN_ELSEWHERE}
    assert {name: count for name, count in found.items() if count} == {"adapters.md": 3, "write-an-adapter.md": 4}


def run_inside(body: str, names: dict[str, Any]) -> dict[str, Any]:
    exec("async def main():\n" + textwrap.indent(body, "    ") + "\n    return locals()", names)
    seen: dict[str, Any] = asyncio.run(names["main"]())
    return seen


def test_the_adapters_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    postgres, sqlite, memory = blocks(ROOT / "docs/adapters.md", "python")
    asked = postgres.replace("postgresql://app@db/app", embedded_url()).replace('"workflow"', '"snippet_workflow"')
    assert asked.count("snippet_workflow") == 1
    asked = asked.replace(" as store:\n", " as store:\n    await store.ensure_schema()\n")
    try:
        assert run_inside(asked, {"now_ms": 1_700_000_000_000})["store"] is not None
    finally:
        with psycopg.connect(embedded_url(), autocommit=True) as connection:
            connection.execute("drop schema snippet_workflow cascade")
    run_inside(sqlite, {})
    assert (tmp_path / "workflows.sqlite").stat().st_size > 0
    assert isinstance(run_inside(memory, {})["store"], MemoryStore)


def test_the_page_for_authors_runs() -> None:
    method, *factories = blocks(ROOT / "docs/write-an-adapter.md", "python")
    names: dict[str, Any] = {}
    exec(method, names)
    with pytest.raises(InvalidArgument, match="leaseMs"):
        asyncio.run(names["claim_run"](None, run_id="r", lease_owner="o", lease_ms=-1, now=0))

    @asynccontextmanager
    async def temporary_database() -> AsyncGenerator[str]:
        yield "postgresql://db"

    class MyStore(MemoryStore):
        def __init__(self, url: str) -> None:
            assert url == "postgresql://db"
            super().__init__()

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_why: object) -> None:
            pass

    async def entered(make_store: Any) -> object:
        async with make_store() as found:
            return found

    kinds: list[str] = []
    for factory in factories[:2]:  # the third is opened on a server by test_docs_races
        names = {
            "asynccontextmanager": asynccontextmanager,
            "temporary_database": temporary_database,
            "MyStore": MyStore,
        }
        exec(factory, names)
        kinds.append(type(asyncio.run(entered(names["make_store"]))).__name__)
    assert kinds == ["MyStore", "Reopenable"]


def test_the_claim_is_one(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs/claims.md", "toml")
    path = tmp_path / "claim.toml"
    path.write_text(example, encoding="utf-8")
    assert set(read_claim(path, SPECIFICATION).expected) == {"listRuns.ties"}


def test_the_workflow_uses_the_action_as_it_is() -> None:
    (example,) = blocks(ROOT / "docs/ci.md", "yaml")
    action = yaml.safe_load((ROOT / "examples/github/action.yml").read_text(encoding="utf-8"))
    steps = yaml.safe_load(example)["jobs"]["storeproof"]["steps"]
    (step,) = [step for step in steps if step.get("uses") == "./.github/actions/storeproof"]
    needed = {name for name, each in action["inputs"].items() if each.get("required")}
    assert needed <= set(step["with"]) <= set(action["inputs"])


def test_the_messages_of_the_wire_page_fit_the_schema() -> None:
    exchange, introduction = blocks(ROOT / "docs/wire.md", "json")
    request, answer = map(json.loads, exchange.splitlines())
    assert unfit("request.claimRun", request) == []
    assert unfit("answer.claimRun", answer) == []
    assert unfit("Introduction", json.loads(introduction)) == []


def test_the_lines_of_the_vectors_page_fit_the_schema() -> None:
    (example,) = blocks(ROOT / "docs/vectors.md", "json")
    validator = line_validator()
    lines: list[Any] = [json.loads(line) for line in example.splitlines()]
    assert len(lines) == 4
    assert [error.message for line in lines for error in validator.iter_errors(line)] == []
