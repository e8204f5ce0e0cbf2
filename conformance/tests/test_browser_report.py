"""The HTML report in a real browser: it asks nobody, complains of nothing, and can be read by everybody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from storeproof.conformance.htmlreport import html_report
from storeproof.conformance.report import Report
from storeproof.spec.loader import load
from tests import browsing
from tests.report_samples import failure, hostile, race, report

pytestmark = pytest.mark.browser

SPECIFICATION = load()
DESKTOP, PHONE = (1300, 1000), (390, 844)
REPORTS: dict[str, list[Report]] = {
    "failing": [report(failure(), race())],
    "conforming": [report(verdict="conforms", expected=[], claim=None)],
    "several": [report(failure(), race()), report(race(), target="b:"), report(verdict="unknown", error="no server")],
    "hostile": [hostile()],
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with browsing.chromium() as opened:
        yield opened


@pytest.fixture(params=REPORTS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    page = tmp_path / "report.html"
    page.write_text(html_report(REPORTS[request.param], SPECIFICATION), encoding="utf-8", errors="surrogatepass")
    return page.as_uri()


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_a_report_stands_in_nobody_s_way(
    browser: webdriver.Chrome, address: str, size: tuple[int, int], scheme: str
) -> None:
    browsing.screen(browser, *size, dark=scheme == "dark")
    browsing.requested(browser)
    browser.get(address)
    assert browsing.complaints(browser) == []
    assert browsing.requested(browser) == [address]
    assert browsing.run(browser, "return matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")
    browsing.run(browser, "document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browsing.run(browser, "return document.documentElement.scrollWidth") <= size[0]
    assert browsing.axe_findings(browser) == []


def test_what_is_in_the_way_of_a_report_is_found(browser: webdriver.Chrome, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    grey = "<style>* { color: #bbb !important }</style>"
    page.write_text(html_report(REPORTS["failing"], SPECIFICATION).replace("</head>", f"{grey}</head>"), "utf-8")
    browsing.screen(browser, *DESKTOP)
    browser.get(page.as_uri())
    assert "color-contrast" in {found.split(":")[0] for found in browsing.axe_findings(browser)}
