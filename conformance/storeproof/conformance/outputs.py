"""The files that are made of reports, by a run or of its JSON again: the same reports give the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from storeproof.conformance.badge import badge_json, badge_svg
from storeproof.conformance.failures import UsageError
from storeproof.conformance.htmlreport import html_report
from storeproof.conformance.junit import junit_xml
from storeproof.conformance.markdownreport import markdown_summary
from storeproof.conformance.report import Report, reports_json
from storeproof.spec.specification import Specification

_Make: TypeAlias = Callable[[Sequence[Report], Specification], str]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which files are wanted. A badge is a picture where its name ends in .svg, else JSON for shields.io."""

    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    badges: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raises UsageError where a file cannot be written: before anything runs."""
        for file, _make in self._files():
            if file.is_dir() or not file.absolute().parent.is_dir():
                why = "it is a folder" if file.is_dir() else "its folder is not there"
                raise UsageError(f"{file} cannot be written: {why}")

    def write(self, reports: Sequence[Report], specification: Specification) -> None:
        """Writes them; raises UsageError where that fails."""
        for file, make in self._files():
            try:
                file.write_text(make(reports, specification), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error

    @property
    def none(self) -> bool:
        """Whether no file is wanted."""
        return next(self._files(), None) is None

    def _files(self) -> Iterator[tuple[Path, _Make]]:
        wanted: tuple[tuple[Path | None, _Make], ...] = (
            (self.json, lambda reports, _: reports_json(reports)),
            (self.junit, junit_xml),
            (self.html, html_report),
            (self.markdown, markdown_summary),
            *((file, _badge(file)) for file in self.badges),
        )
        yield from ((file, make) for file, make in wanted if file is not None)


def _badge(file: Path) -> _Make:
    made = badge_svg if file.suffix == ".svg" else badge_json
    return lambda reports, _: made(reports)
