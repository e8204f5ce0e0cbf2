"""What kind of SQL statement a text is, as far as a scheduling point needs to know. Knows no driver."""

from __future__ import annotations

import re

QUICK = "set deadlock_timeout = '1ms'; set synchronous_commit = off"
"""For sessions of superusers of Postgres: deadlocks are found at once, commits do not wait for the disk."""

_LOOKS = re.compile(r"\s*(select|show|values)\b(?!.*\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b)", re.I | re.S)
_COMMITS = re.compile(r"\s*(commit|end)\b(?!\s+prepared\b)", re.I)
_LOCKS_AT_ONCE = re.compile(r"\s*begin\s+(immediate|exclusive)\b", re.I)
_FRAMES = re.compile(
    r"\s*(begin|start|rollback|abort|savepoint|release|set|reset|vacuum|pragma|listen|unlisten|discard|deallocate)\b",
    re.I,
)


def looks(text: str) -> bool:
    """Whether it only looks at rows, so that nobody can wait for the end of its transaction."""
    return _LOOKS.match(text) is not None


def commits(text: str) -> bool:
    """Whether it is a COMMIT."""
    return _COMMITS.match(text) is not None


def frames(text: str) -> bool:
    """Whether it sees and holds nothing, such as BEGIN and SET; SQLite's BEGIN IMMEDIATE holds the database."""
    return _FRAMES.match(text) is not None and _LOCKS_AT_ONCE.match(text) is None
