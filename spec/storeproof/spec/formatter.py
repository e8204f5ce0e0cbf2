"""Prints the model files the one way they are printed: an object or a list on one line if it fits, else broken.

    python -m storeproof.spec.formatter [--check] [file …]

rewrites the files (all of the model without names); with --check it changes nothing, names the files that would
change and exits with 1. Knows JSON only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from storeproof.spec.jsonvalues import is_array, is_object

WIDTH = 140
_MODEL = Path(__file__).parent / "model"


def formatted(value: object) -> str:
    """The text of a whole file, with a line end. Formatting what it reads back as gives the same text."""
    return _text(value, 0, 0) + "\n"


def model_files() -> list[Path]:
    return sorted(_MODEL.rglob("*.json"))


def main(arguments: Sequence[str]) -> int:
    check = "--check" in arguments
    paths = [Path(name) for name in arguments if name != "--check"] or model_files()
    changed = 0
    for path in paths:
        before = path.read_text(encoding="utf-8")
        after = formatted(json.loads(before))
        if after != before:
            changed += 1
            print(f"{path.name}: {'is not formatted' if check else 'formatted'}")
            if not check:
                path.write_text(after, encoding="utf-8")
    if check and changed:
        print(f"{changed} of {len(paths)} files differ; run python -m storeproof.spec.formatter")
    return 1 if check and changed else 0


def _text(value: object, indent: int, used: int) -> str:
    """`used` columns of the line are taken by what stands before the value."""
    line = json.dumps(value, ensure_ascii=False)
    if is_object(value):
        parts = [(f"{json.dumps(key, ensure_ascii=False)}: ", item) for key, item in value.items()]
    elif is_array(value):
        parts = [("", item) for item in value]
    else:
        return line
    if (indent > 0 and indent + used + len(line) + 1 <= WIDTH) or not parts:  # 1: a comma may follow
        return line
    inner = indent + 2
    lines = [" " * inner + before + _text(item, inner, len(before)) for before, item in parts]
    return f"{line[0]}\n" + ",\n".join(lines) + f"\n{' ' * indent}{line[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
