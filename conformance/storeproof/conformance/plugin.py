"""The pytest plugin: two options for suites made with `conformance_suite`, and nothing else.

Every pytest run of an environment with Storeproof loads it, before anything is measured: it imports nothing, adds no
fixture and no marker, and changes nothing where no suite is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; without them a suite's own arguments hold."""
    group = parser.getgroup("storeproof", "conformance of durable-workflow stores")
    group.addoption(
        "--storeproof-seed",
        type=int,
        default=None,
        metavar="N",
        help="the seed of conformance suites, instead of the fixed one",
    )
    group.addoption(
        "--storeproof-profile",
        choices=("quick", "default", "thorough"),
        default=None,
        help="how much conformance suites try",
    )
