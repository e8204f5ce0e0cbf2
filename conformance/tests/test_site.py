"""The built site, read as text: every link and anchor leads somewhere, and nothing is taken from outside."""

import json
import re
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from specpages.pages import rule_page
from storeproof.spec.loader import load
from tests.built_site import ROOT, built_site, html_pages

_TAKEN = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "embed": "src",
    "object": "data",
    "use": "href",
}
"""What a browser fetches by itself, and where its address stands; links with a rel besides."""
_FETCHED_RELS = {"stylesheet", "icon", "shortcut", "preload", "modulepreload", "manifest", "preconnect", "dns-prefetch"}


@cache
def page(name: str) -> BeautifulSoup:
    return BeautifulSoup((built_site() / name).read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(name: str) -> frozenset[str]:
    return frozenset(str(element["id"]) for element in page(name).find_all(id=True))


def dangling(name: str, soup: BeautifulSoup) -> list[str]:
    """The links of a page to places of the site that are not there."""
    found: list[str] = []
    for link in soup.find_all("a", href=True):
        address = str(link["href"])
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = unquote(urlsplit(urljoin(name, address)).path)
        there = (built_site() / target).is_file() and not target.startswith(("/", ".."))
        if not there or (parts.fragment and unquote(parts.fragment) not in anchors(target)):
            found.append(address)
    return found


def taken(soup: BeautifulSoup) -> list[str]:
    """The addresses that a browser fetches to show a page."""
    own = [str(element[key]) for name, key in _TAKEN.items() for element in soup.find_all(name) if element.get(key)]
    linked = [str(e["href"]) for e in soup.find_all("link", href=True) if _FETCHED_RELS & set(e.get("rel") or ())]
    return own + linked


def outside(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def test_every_link_and_anchor_leads_somewhere() -> None:
    pages = html_pages(built_site())
    assert len(pages) > 45
    links = 0
    for name in pages:
        assert dangling(name, page(name)) == [], name
        links += len(page(name).find_all("a", href=True))
    assert links > 3_000


def test_a_dangling_link_is_seen() -> None:
    lame = BeautifulSoup(
        '<a href="races.html#no">1</a><a href="no.html">2</a><a href="races.html#a-cut">3</a>', "html.parser"
    )
    assert dangling("index.html", lame) == ["races.html#no", "no.html"]


def test_nothing_is_taken_from_outside() -> None:
    for name in html_pages(built_site()):
        addresses = taken(page(name))
        assert len(addresses) > 8, name
        assert [address for address in addresses if outside(address)] == [], name
        assert "https://cdn" not in str(page(name))
    sheets = sorted(built_site().rglob("*.css"))
    assert len(sheets) > 5
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        addresses = re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        assert [address for address in addresses if outside(address)] == [], sheet.name


@pytest.mark.parametrize(
    "html", ['<script src="//cdn/x.js"></script>', '<link rel="stylesheet" href="https://x/y.css">']
)
def test_something_from_outside_is_seen(html: str) -> None:
    assert [address for address in taken(BeautifulSoup(html, "html.parser")) if outside(address)] != []


def test_every_rule_has_an_anchor() -> None:
    for rule in load().rules.values():
        name, anchor = rule_page(rule).split("#")
        assert anchor in anchors(f"specification/{PurePosixPath(name).with_suffix('.html')}"), rule.id


def test_the_search_index_is_there_as_a_script_and_knows_every_rule() -> None:
    folder = built_site() / "search"
    text = (folder / "search_index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("window.searchIndex = ").removesuffix(";\n"))
    assert index == json.loads((folder / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["title"] for entry in index["docs"]}
    assert load().rules.keys() <= titles


def test_files_of_the_theme_are_no_pages() -> None:
    assert not (built_site() / "theme").exists()
    assert sorted(path.name for path in (ROOT / "docs/theme").rglob("*") if path.is_file()) == [
        "404.html",
        "main.html",
        "main.js",
    ]


def test_the_api_pages_have_what_the_package_offers() -> None:
    offered = {
        "store": ("Store.claim_run", "SubscribableStore.subscribe_events", "LogConflict", "checked"),
        "shapes": ("Run", "CreateRunResult", "ScheduleBucket"),
        "adapters": ("MemoryStore", "PostgresStore.ensure_schema", "TableNames", "D1Store", "LocalD1"),
        "kit": ("conformance_suite", "Reopenable"),
    }
    for name, things in offered.items():
        ids = anchors(f"api/{name}.html")
        for thing in things:
            assert [anchor for anchor in ids if anchor.endswith(f".{thing}")] != [], thing


def test_the_whole_site_can_be_carried_away() -> None:
    size = sum(path.stat().st_size for path in built_site().rglob("*") if path.is_file())
    assert size < 12_000_000
    assert all(Path(path).suffix for path in html_pages(built_site()))
