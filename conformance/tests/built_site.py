"""The site of docs/, built as everybody builds it."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
_kept: list[TemporaryDirectory[str]] = []


@cache
def built_site() -> Path:
    """The folder of the built site, one in a process. Fails where `mkdocs build --strict` has anything to say."""
    folder = TemporaryDirectory(prefix="storeproof-site-")
    _kept.append(folder)  # it goes when the process ends
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder.name]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return Path(folder.name)


def html_pages(site: Path) -> list[str]:
    """The pages, as addresses below the site's; without the one that a server shows in place of a missing one."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "404.html")
