"""The conformance kit: holds any store to the specification.

What an author of a store imports is here, and loaded when it is first asked for: pytest imports this package in every
run of an environment that has it, through the plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storeproof.conformance.suite import conformance_suite
    from storeproof.conformance.targets import Reopenable

__all__ = ["Reopenable", "conformance_suite"]

_HOMES = {"conformance_suite": "suite", "Reopenable": "targets"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
