"""Which version of the kit this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def kit_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("storeproof")
    except PackageNotFoundError:
        return "not installed as a package"
