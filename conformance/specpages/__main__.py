"""The command: writes docs/specification anew, or says what is stale there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from specpages.pages import made_pages

DOCS = Path(__file__).resolve().parents[2] / "docs"


def stale(pages: dict[str, str]) -> list[str]:
    """The pages that differ from what they are made of now, and those that nothing makes any more."""
    present = {path.relative_to(DOCS).as_posix() for path in (DOCS / "specification").rglob("*") if path.is_file()}
    return sorted(
        name
        for name in present | pages.keys()
        if name not in present or name not in pages or (DOCS / name).read_text(encoding="utf-8") != pages[name]
    )


def main(arguments: Sequence[str]) -> int:
    """0 when all is written or current, 1 when something is stale, 2 for an unknown argument."""
    if arguments not in ([], ["--check"]):
        print("python -m specpages [--check]")
        return 2
    pages = made_pages()
    found = stale(pages)
    if arguments:
        print(f"stale: {', '.join(found)}; run this command without --check" if found else "the pages are current")
        return 1 if found else 0
    for name in found:
        path = DOCS / name
        if name in pages:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[name], encoding="utf-8")
        else:
            path.unlink()
    print(f"{len(pages)} pages in {DOCS / 'specification'}, {len(found)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
