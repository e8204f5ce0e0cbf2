"""`storeproof init`: a small project for a new adapter, which runs at once and says what is missing.

The store's methods are made of the Store protocol and the specification, so that no version of the kit can write a
skeleton that lacks one. The files lie as templates in `starter/`.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
from storeproof.conformance.failures import UsageError
from storeproof.conformance.programs import method_name
from storeproof.conformance.versions import kit_version
from storeproof.spec import store
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification

WIDTH = 100
"""Columns of the skeleton's longest line."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the skeleton: its operation, what it is for, and its Python."""

    operation: str
    says: str
    signature: str
    checked: str


def write_project(folder: Path) -> list[Path]:
    """Writes the project and answers its files; raises UsageError, having written nothing, where it must not."""
    module = re.sub(r"\W", "_", folder.resolve().name)
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UsageError(f"{folder.name!r} makes no name of a Python module; try letters, digits and hyphens")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; name a folder that is new or empty")
    written: dict[Path, str] = {folder / name: text for name, text in rendered(module).items()}
    try:
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    return list(written)


def rendered(module: str) -> dict[str, str]:
    """{file name: its text} of the project whose store is in `module`."""
    specification = load()
    facts = {
        "module": module,
        "store": "".join(part.capitalize() for part in module.split("_")),
        "methods": list(methods(specification)),
        "imports": sorted(imported_types()),
        "version": kit_version(),
        "revision": specification.revision,
    }
    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # these are programs and texts, no HTML
    )
    return {
        name: templates.get_template(f"{template}.jinja").render(facts)
        for name, template in {
            f"{module}.py": "store.py",
            f"test_{module}.py": "test_store.py",
            "claim.toml": "claim.toml",
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            ".gitignore": "gitignore",
            ".github/workflows/conformance.yml": "conformance.yml",
        }.items()
    }


def methods(specification: Specification) -> Iterator[Method]:
    """Every method of the Store protocol, in the order of the protocol."""
    by_method = {method_name(name): operation for name, operation in specification.operations.items()}
    for node in _protocol("Store").body:
        if isinstance(node, ast.AsyncFunctionDef):
            operation = by_method[node.name]
            names = [argument.arg for argument in node.args.kwonlyargs]
            yield Method(operation.name, operation.says, _signature(node), _checked(operation.arguments, names))


def imported_types() -> set[str]:
    """The names of `storeproof.spec.types` that the signatures use."""
    used = {name.id for node in ast.walk(_protocol("Store")) for name in [node] if isinstance(name, ast.Name)}
    return used & {
        alias.name
        for node in ast.walk(_module())
        if isinstance(node, ast.ImportFrom) and node.module == "storeproof.spec.types"
        for alias in node.names
    }


def _signature(node: ast.AsyncFunctionDef) -> str:
    """On one line where there is room for it, else a line for each argument."""
    assert node.returns is not None
    arguments = node.args
    parts = [
        f"{argument.arg}: {ast.unparse(argument.annotation)}" + (f" = {ast.unparse(default)}" if default else "")
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if argument.annotation is not None
    ]
    end = f") -> {ast.unparse(node.returns)}:"
    whole = f"async def {node.name}(self, *, {', '.join(parts)}{end}"
    if len(whole) + 4 <= WIDTH:
        return whole
    lines = "".join(f"        {part},\n" for part in ("self", "*", *parts))
    return f"async def {node.name}(\n{lines}    {end}"


def _checked(shape: str, names: list[str]) -> str:
    parts = [f"arguments.{shape}", *(f"{name}={name}" for name in names)]
    whole = f"checked({', '.join(parts)})"
    if len(whole) + 15 <= WIDTH:
        return whole
    lines = "".join(f"            {part},\n" for part in parts)
    return f"checked(\n{lines}        )"


def _module() -> ast.Module:
    return ast.parse(inspect.getsource(store))


def _protocol(name: str) -> ast.ClassDef:
    return next(node for node in _module().body if isinstance(node, ast.ClassDef) and node.name == name)


def _template(name: str) -> str:
    return files("storeproof.conformance").joinpath("starter", name).read_text(encoding="utf-8")
