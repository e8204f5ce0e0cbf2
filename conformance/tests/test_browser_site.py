"""The built site in a real browser: it asks nobody, complains of nothing, is found in, and can be used by everybody."""

from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import visibility_of_element_located
from selenium.webdriver.support.wait import WebDriverWait
from tests import browsing
from tests.built_site import built_site, html_pages

pytestmark = pytest.mark.browser

DESKTOP, PHONE = (1300, 1000), (390, 844)
FIVE = (
    "index.html",
    "races.html",
    "specification/states.html",
    "specification/hazards.html",
    "specification/operations/claimDueScheduleBuckets.html",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with browsing.chromium() as opened:
        yield opened


@pytest.fixture(scope="module", params=["http", "file"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "file":
        yield built_site().as_uri()
    else:
        with browsing.served(built_site()) as served:
            yield served


def until(browser: webdriver.Chrome, holds: Callable[[WebDriver], bool]) -> None:
    WebDriverWait(browser, 20).until(holds)


def search(browser: webdriver.Chrome, words: str) -> WebElement:
    """Opens the search and types; the field."""
    browser.find_element(By.PARTIAL_LINK_TEXT, "Search").click()
    field = WebDriverWait(browser, 20).until(visibility_of_element_located((By.ID, "mkdocs-search-query")))
    field.send_keys(words)
    return field


def first_result(browser: WebDriver) -> str | None:
    found = browser.find_elements(By.CSS_SELECTOR, "#mkdocs-search-results li:first-child a")
    return found[0].get_attribute("href") if found else None


def test_no_request_leaves_the_machine_and_the_console_stays_empty(browser: webdriver.Chrome, address: str) -> None:
    browsing.screen(browser, *DESKTOP)
    pages = html_pages(built_site())
    assert len(pages) > 45
    if address.startswith("http"):
        pages.append("404.html")  # it is for servers: its addresses begin at their root
    browsing.requested(browser)
    for page in pages:
        browser.get(f"{address}/{page}")
        assert browsing.complaints(browser) == [], page
        asked = browsing.requested(browser)
        assert len(asked) > 5, page
        assert [url for url in asked if browsing.leaves_the_machine(url)] == [], page


def test_a_request_that_leaves_and_a_complaint_are_seen(browser: webdriver.Chrome) -> None:
    browser.get(f"{built_site().as_uri()}/index.html")
    browsing.complaints(browser)
    browsing.requested(browser)
    browsing.awaited(browser, "fetch('https://example.org/x').catch(() => 0)")
    assert [url for url in browsing.requested(browser) if browsing.leaves_the_machine(url)] == ["https://example.org/x"]
    assert len(browsing.complaints(browser)) == 1


@pytest.mark.parametrize("page", ["index.html", "specification/operations/createRun.html"])
def test_search_finds_a_rule(browser: webdriver.Chrome, address: str, page: str) -> None:
    browsing.screen(browser, *DESKTOP)
    browser.get(f"{address}/{page}")
    typed = search(browser, "claimRun.claimed")
    wanted = f"{address}/specification/operations/claimRun.html#claimRun.claimed"
    until(browser, lambda seen: first_result(seen) == wanted)
    typed.send_keys(Keys.ENTER)
    until(browser, lambda seen: seen.current_url == wanted)
    assert browser.find_element(By.ID, "claimRun.claimed").text.startswith("claimRun.claimed")
    assert browsing.complaints(browser) == []


@pytest.mark.parametrize("words", ["lease that would end", "late save revives", "a:b ~ (", "listRuns.cursor"])
def test_search_takes_any_words(browser: webdriver.Chrome, words: str) -> None:
    browser.get(f"{built_site().as_uri()}/index.html")
    search(browser, words)
    until(browser, lambda seen: bool(seen.find_elements(By.CSS_SELECTOR, "#mkdocs-search-results > *")))
    assert browsing.complaints(browser) == []


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
@pytest.mark.parametrize("page", FIVE)
def test_nothing_serious_stands_in_anybody_s_way(
    browser: webdriver.Chrome, page: str, size: tuple[int, int], scheme: str
) -> None:
    browsing.screen(browser, *size, dark=scheme == "dark")
    browser.get(f"{built_site().as_uri()}/{page}")
    assert browsing.run(browser, "return document.documentElement.dataset.bsTheme") == scheme
    assert browsing.axe_findings(browser) == []


def test_what_is_in_the_way_is_found(browser: webdriver.Chrome) -> None:
    browser.get(f"{built_site().as_uri()}/index.html")
    browsing.run(browser, "document.querySelector('[role=main]').insertAdjacentHTML('beforeend', '<input id=unnamed>')")
    assert [found.split(":")[0] for found in browsing.axe_findings(browser)] == ["label"]


def test_no_page_is_wider_than_a_phone(browser: webdriver.Chrome) -> None:
    browsing.screen(browser, *PHONE)
    for page in html_pages(built_site()):
        browser.get(f"{built_site().as_uri()}/{page}")
        assert browsing.run(browser, "return document.documentElement.scrollWidth") <= PHONE[0], page


def test_labels_of_the_state_diagrams_lie_inside_and_apart(browser: webdriver.Chrome) -> None:
    browsing.screen(browser, *DESKTOP)
    browser.get(f"{built_site().as_uri()}/specification/states.html")
    diagrams = browsing.run(
        browser,
        """return [...document.querySelectorAll("svg.statechart")].map(svg => ({
             room: svg.viewBox.baseVal.width,
             texts: [...svg.querySelectorAll("text")].map(text => {
               const {x, y, width, height} = text.getBBox();
               return {said: text.textContent, x, y, width, height};
             })}))""",
    )
    assert len(diagrams) == 4
    for diagram in diagrams:
        texts = diagram["texts"]
        assert len(texts) > 8
        for text in texts:
            assert text["x"] >= 0, text
            assert text["x"] + text["width"] <= diagram["room"], text
        for number, one in enumerate(texts):
            for other in texts[number + 1 :]:
                beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
                # Lines of one label touch: a box is a little higher than its letters.
                lower, upper = max(one["y"], other["y"]), min(one["y"] + one["height"], other["y"] + other["height"])
                assert beside or upper - lower < 2, (one, other)
