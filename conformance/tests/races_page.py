"""The parts of docs/races.md that are made by running what the page says: reports, timelines, the picture.

    cd conformance && python -m tests.races_page        writes them anew; read the diff

Knows the marks of the page and nothing of how a race is found.
"""

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cuts import explore_cuts
from storeproof.conformance.databases import SqliteTarget
from storeproof.conformance.encounters import Encounter, meet
from storeproof.conformance.exploring import Explorer
from storeproof.conformance.factorystage import FactoryStage
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.programs import Call
from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.racefailures import minimised_race, told
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Tried
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.timelines import timeline_text
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.races_sqlite_log import AppendRowByRow

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "races.md"
PICTURE = DOCS / "two-winners.svg"
WIDTH = 80
TRIES = 150


def snippet(mark: str, page: Path = PAGE) -> str:
    """The Python code below a mark of a page."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{page.name} has no snippet marked {mark!r}"
    return found.group(1)


def command() -> list[str]:
    """The arguments of the page's `storeproof verify`."""
    found = re.search(r"^    storeproof (verify .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found.group(1).split()


def storeproof(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, typed in a folder at a terminal of 80 columns."""
    return subprocess.run(
        [sys.executable, "-m", "storeproof.conformance.cli", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


def made(folder: Path) -> tuple[dict[str, str], str]:
    """The texts of the page by their marks, and the picture; follows the page in an empty folder."""
    store = folder / "one_row.py"
    store.write_text(snippet("file: one_row.py"), encoding="utf-8")
    verified = storeproof(folder, *command())
    assert verified.returncode == 1, verified.stdout + verified.stderr
    race = verified.stdout.split(": failure 1 of ")[1].split("\n", 1)[1].split("\none_row:make_store")[0].strip()
    again = re.search(r"storeproof (replay (\S+) --target \S+)", race)
    assert again, race
    replayed = storeproof(folder, *again.group(1).split())
    assert replayed.returncode == 1, replayed.stdout + replayed.stderr
    lines = replayed.stdout.split("\n\n")[0].split("\n")

    store.write_text(store.read_text(encoding="utf-8") + "\n\n" + snippet("append: one_row.py"), encoding="utf-8")
    mended = storeproof(folder, *again.group(1).split())
    assert mended.returncode == 0, mended.stdout + mended.stderr
    texts = {
        "race": race,
        "replay": "\n".join([f"$ storeproof {again.group(1)}", *lines[:2], "…"]),
        "mended": mended.stdout.strip(),
        "waits": asyncio.run(_waiting(store)),
        "cut": _cut(),
    }
    return texts, (folder / again.group(2)).with_suffix(".svg").read_text(encoding="utf-8")


def written(page: str, texts: dict[str, str]) -> str:
    """The page with its texts put in."""
    for mark, text in texts.items():
        opening = f"<!-- made: {mark} -->\n```text\n"
        assert page.count(opening) == 1, mark
        before, after = page.split(opening)
        page = f"{before}{opening}{text}\n```{after.split('```', 1)[1]}"
    return page


async def _waiting(path: Path) -> str:
    """The first schedule of the page's two claims in which one waits for the other, on the mended store."""
    module: Any = _module(path)
    specification = load()
    create = WORLDS["waiting"][0]
    claims = [call for call in INSTANCES if call.operation == "claimRun"][:2]
    stage = FactoryStage("one_row:make_store", module.make_store, specification, 10.0)
    await stage.open()
    try:
        with stage.points():
            encounter = await _blocked(stage, Scenario((create,), tuple((claim,) for claim in claims)))
    finally:
        await stage.close()
    return timeline_text(encounter.moments, 2, WIDTH)


async def _blocked(stage: FactoryStage, scenario: Scenario) -> Encounter:
    explorer = Explorer(None)
    while explorer.more:
        await stage.prepare(scenario.setup)
        encounter = await meet(stage, scenario, explorer.choose)
        explorer.advance()
        if any(moment.kind == "blocked" for moment in encounter.moments):
            return encounter
    raise AssertionError("nobody waits for a lock")


def _cut() -> str:
    """The smallest cut that shows what is wrong with appending row by row."""
    specification = load()
    model = Model(specification)
    runner = Runner(SqliteTarget("sqlite:", ":memory:", specification, 10.0, AppendRowByRow), model)
    append: Call = next(call for call in INSTANCES if len(call.args.get("events", ())) == 2)
    runner.open()
    try:
        with opened_stage(runner) as stage:
            assert stage is not None
            readings = Readings()

            def again(scenario: Scenario) -> Tried | None:
                return runner.wait(explore_cuts(stage, model, scenario, readings)).wrong

            found = again(Scenario(WORLDS["waiting"], ((append,),)))
            assert found is not None
            failure = told("cuts", minimised_race(specification, found, again, TRIES), model)
    finally:
        runner.close()
    return failure_text(failure, specification, "sqlite:", WIDTH).split("\n\nWhat to do:")[0]


def _module(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # pickle looks for the class there
    specification.loader.exec_module(module)
    return module


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made_texts, picture = made(Path(name))
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), made_texts), encoding="utf-8")
    PICTURE.write_text(picture, encoding="utf-8")
