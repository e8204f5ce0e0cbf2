"""Who may import whom (design: the four folders are the architecture), and what an adapter's user need not install."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "spec": {"spec"},
    "reference": {"spec", "reference"},
    "adapters": {"spec", "adapters"},
    "conformance": {"spec", "reference", "conformance"},
}


def modules(part: str) -> list[Path]:
    return sorted((ROOT / part / "storeproof" / part).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole name"
            names.add(f"{node.module}.{node.names[0].name}" if node.module == "storeproof" else str(node.module))
    return names


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_it_may(part: str) -> None:
    paths = modules(part)
    assert len(paths) > 5
    for path in paths:
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("storeproof.")}
        assert ours <= ALLOWED[part], path


def test_the_namespace_has_no_init() -> None:
    for part in ALLOWED:
        assert not (ROOT / part / "storeproof" / "__init__.py").exists(), "one would hide the other three parts"


def test_the_specification_depends_on_pydantic_and_jsonschema_only() -> None:
    foreign = {name.split(".")[0] for path in modules("spec") for name in imported(path)}
    theirs = {name for name in foreign if name not in sys.stdlib_module_names} - {"storeproof"}
    assert theirs <= {"pydantic", "pydantic_core", "typing_extensions", "jsonschema", "referencing"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("storeproof.adapters.memory", {"jsonschema", "pytest", "hypothesis", "sqlalchemy", "psycopg", "aiosqlite"}),
        ("storeproof.adapters.postgres", {"jsonschema", "pytest", "hypothesis", "aiosqlite", "rich", "typer"}),
        ("storeproof.adapters.d1", {"jsonschema", "pytest", "hypothesis", "sqlalchemy", "psycopg", "aiosqlite"}),
        ("storeproof.adapters.d1.local", {"jsonschema", "pytest", "hypothesis", "psycopg", "rich", "typer"}),
        ("storeproof.conformance.plugin", {"hypothesis", "pydantic", "rich", "typer", "storeproof.reference"}),
    ],
)
def test_importing_a_module_loads_nothing_it_does_not_need(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not absent.intersection(loaded)
    assert module in loaded
