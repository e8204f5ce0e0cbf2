"""Where processes are killed: data that stay, a stage of this process over them, and how a victim opens its store.

A SQLite file is put there whole before each victim, as its setup left it; in Postgres the stage restores its tables.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

from storeproof.conformance.databasestages import NOTICED_S, longest
from storeproof.conformance.programs import Program
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.stages import Stage
from storeproof.conformance.victimprocess import opened
from storeproof.reference.model import Outcome
from storeproof.spec.specification import Specification
