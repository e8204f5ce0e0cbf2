"""The published JSON Schemas of the files that the kit writes; they lie in the specification, for every language.

    python -m storeproof.conformance.schemafiles            writes report.schema.json and repro.schema.json
    python -m storeproof.conformance.schemafiles --check    fails where they are stale

They are made of the pydantic models, so that both say the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from storeproof.conformance.report import Report
from storeproof.conformance.repro import Repro

_ID = "https://storeproof.dev/schema/{name}.schema.json"


def schema(name: str) -> dict[str, Any]:
    """The schema as it is published; `name` is report or repro."""
    text = files("storeproof.spec").joinpath(f"schema/{name}.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def made_schemas() -> dict[str, dict[str, Any]]:
    """{name: schema} as the models ask for them now."""
    return {"report": _made("report", _reports()), "repro": _made("repro", Repro.model_json_schema())}


def _reports() -> dict[str, Any]:
    """One report, or the reports of several targets in one object."""
    made = Report.model_json_schema()
    definitions: dict[str, Any] = made.pop("$defs")
    several = {
        "description": "The reports of several targets, in the order in which they ran.",
        "type": "object",
        "properties": {
            "format": {"const": "storeproof-reports/1"},
            "reports": {"type": "array", "items": {"$ref": "#/$defs/Report"}},
        },
        "required": ["format", "reports"],
        "additionalProperties": False,
    }
    # Required, although the model has defaults for them: the kit always writes them, and readers go by the format.
    made["required"] = sorted({*made["required"], "format"})
    return {"oneOf": [{"$ref": "#/$defs/Report"}, several], "$defs": {**definitions, "Report": made}}


def _made(name: str, body: dict[str, Any]) -> dict[str, Any]:
    if "required" in body:
        body["required"] = sorted({*body["required"], "format"})
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _ID.format(name=name)}
    return head | body


def main(arguments: Sequence[str]) -> int:
    """The command: 0 when all is written or current, 1 when something is stale, 2 for an unknown argument."""
    if arguments not in ([], ["--check"]):
        print("python -m storeproof.conformance.schemafiles [--check]")
        return 2
    folder = Path(str(files("storeproof.spec"))) / "schema"
    for name, made in made_schemas().items():
        path = folder / f"{name}.schema.json"
        if not arguments:
            path.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        elif not path.exists() or schema(name) != made:
            print(f"{path.name} is stale; run this command without --check")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
