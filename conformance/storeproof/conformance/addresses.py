"""Addresses of databases as they may be shown and saved: without the password."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def without_password(url: str) -> str:
    """The address with *** for a password, wherever it stands: before the host, or as a parameter."""
    password = urlsplit(url).password if "//" in url else None
    masked = url.replace(f":{password}@", ":***@", 1) if password else url
    return re.sub(r"(?i)([?&]password=)[^&]*", r"\1***", masked)
