"""The model mutants that no answer can tell from the model, each with its reason, as `survivors.json` lists them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def survivors() -> dict[str, str]:
    """{mutant id: the reason}. `storeproof selftest` fails where the list and the mutants do not agree."""
    text = files("storeproof.conformance").joinpath("survivors.json").read_text(encoding="utf-8")
    reasons: dict[str, str] = json.loads(text)
    return reasons
