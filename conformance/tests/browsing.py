"""Chromium without a window, for tests: what it asked for, what it complained about, what axe-core finds.

It can reach nothing but this machine. Debian's chromium and chromium-driver, and axe-core from npm, are installed by
`make browser`; where one is missing a test fails.
"""

import json
import shutil
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.remote.webdriver import WebDriver

AXE = Path(__file__).resolve().parents[1] / "axe/node_modules/axe-core/axe.min.js"
_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


@contextmanager
def chromium() -> Generator[webdriver.Chrome]:
    """A browser of its own, with a profile of its own that goes with it."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary, "Chromium is missing: make browser"
    assert driver, "chromedriver is missing: make browser"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", "--window-size=1300,1000"):
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            browser.get("about:blank")  # away from its own start page, whose requests are no page's of ours
            requested(browser)
            yield browser
        finally:
            browser.quit()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Generator[str]:
    """The address under which a folder is served on this machine, without a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(browser: WebDriver, script: str) -> Any:
    """What a script returns, run on the page."""
    untyped: Any = browser  # Selenium's own types leave things open
    return untyped.execute_script(script)


def awaited(browser: WebDriver, promise: str) -> Any:
    """What a promise on the page comes to."""
    untyped: Any = browser
    return untyped.execute_async_script(f"({promise}).then(arguments[arguments.length - 1])")


def screen(browser: webdriver.Chrome, width: int, height: int, *, dark: bool = False) -> None:
    """What the browser pretends to be from now on."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    untyped: Any = browser
    untyped.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    untyped.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What was written to the console since the last call, anything from warnings on."""
    return [entry["message"] for entry in _log(browser, "browser") if entry["level"] in ("WARNING", "SEVERE")]


def requested(browser: webdriver.Chrome) -> list[str]:
    """The addresses that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    return [item["params"]["request"]["url"] for item in messages if item["method"] == "Network.requestWillBeSent"]


def _log(browser: webdriver.Chrome, name: str) -> list[dict[str, Any]]:
    untyped: Any = browser
    entries: list[dict[str, Any]] = untyped.get_log(name)
    return entries


def leaves_the_machine(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme not in ("file", "data", "blob", "about") and parts.hostname != "127.0.0.1"


def axe_findings(browser: WebDriver) -> list[str]:
    """What axe-core calls serious or critical on the page, as `rule: element`."""
    assert AXE.exists(), "axe-core is missing: make browser"
    run(browser, AXE.read_text(encoding="utf-8"))
    result = awaited(browser, "axe.run()")
    assert len(result["passes"]) > 10, "axe-core saw no page"
    return [
        f"{found['id']}: {node['html'][:200]}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
