"""What can be put under test, and how each kind gets an empty store for the next program.

Targets: `memory:`, `sqlite:` (a temporary file), `sqlite::memory:`, `sqlite:FILE`, `postgresql:` (the embedded server,
or the one STOREPROOF_PG_URL names), `postgresql://…`, `module:factory` for anybody's store in Python, and
`stdio:COMMAND` for one in any language. Adapters are imported by name only, when their target is asked for. The kit
touches only what it created.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.conformance.programs import Arguments
from storeproof.conformance.pythonstore import DEFAULT_LIMIT_S, PythonStore
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Outcome
from storeproof.spec.specification import Specification

if TYPE_CHECKING:
    from storeproof.conformance.databasefaults import Faults

REFERENCE_TARGETS = ("memory:", "sqlite:", "postgresql:")


class Target(Protocol):
    """Something under test. Opened once, reset before every program."""

    name: str
    capabilities: frozenset[str]
    """`durable` and `subscribe`, known once it was opened."""
    hidden: Mapping[str, str]
    """Rules that cannot be seen from where the kit stands, with the reason."""
    elsewhere: bool
    """Whether the store was written without regard to this specification; known once it was opened."""

    async def open(self) -> None:
        """Makes everything ready; raises HarnessError where that fails."""
        ...

    async def close(self) -> None:
        """Takes away what the target created."""
        ...

    async def reset(self) -> None:
        """An empty store."""
        ...

    async def reopen(self) -> None:
        """Closes the store and opens it again on the same data. Only with the capability `durable`."""
        ...

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call in wire form."""
        ...

    @property
    def store(self) -> Any:
        """The Python store itself, for the check of subscriptions."""
        ...

    def environment(self) -> dict[str, str]:
        """What a report says about it: versions, never secrets."""
        ...

    def stage(self) -> Stage | None:
        """A new stage for several clients, not opened yet; None where they cannot meet. The target is open."""
        ...

    def faults(self) -> AbstractAsyncContextManager[Faults] | None:
        """What can be made to fail, on data of its own; None where the kit knows of nothing. The target is open."""
        ...


@dataclass(frozen=True, slots=True)
class Reopenable:
    """What a factory yields for a durable store: `open` opens it on the data of this test, again and again.

    @asynccontextmanager
    async def factory():
        with TemporaryDirectory() as folder:
            yield Reopenable(lambda: MyStore(folder))      # MyStore is an async context manager
    """

    open: Callable[[], AbstractAsyncContextManager[Any]]


class StoreTarget:
    """A target made of a factory: a callable without arguments whose async context manager yields an empty store."""

    def __init__(
        self, name: str, factory: Callable[[], Any], specification: Specification, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        self.name = name
        self.capabilities: frozenset[str] = frozenset()
        self.hidden: Mapping[str, str] = {}
        self.elsewhere = False
        self._factory = factory
        self._specification = specification
        self._limit_s = limit_s
        self._space: AsyncExitStack | None = None
        self._opened: AsyncExitStack | None = None
        self._reopenable: Reopenable | None = None
        self._python: PythonStore | None = None

    async def open(self) -> None:
        """Opens a first store, to see that the factory works and what the store offers."""
        await self.reset()
        found = {"subscribe"} if hasattr(self.store, "subscribe_events") else set[str]()
        self.capabilities = frozenset(found | ({"durable"} if self._reopenable else set[str]()))

    async def close(self) -> None:
        """Leaves the factory's context."""
        await self._leave("_opened")
        await self._leave("_space")

    async def reset(self) -> None:
        """Leaves the last store's context and enters a new one."""
        await self.close()
        self._space = AsyncExitStack()
        try:
            yielded = await self._space.enter_async_context(self._factory())
        except HarnessError:
            raise
        except (Exception, SystemExit) as error:
            raise HarnessError(f"{self.name}: the factory failed: {_named(error)}") from error
        self._reopenable = yielded if isinstance(yielded, Reopenable) else None
        if self._reopenable:
            await self._enter()
        else:
            self._python = PythonStore(yielded, self._specification, self._limit_s)

    async def reopen(self) -> None:
        """Closes the store and opens it again."""
        await self._leave("_opened")
        await self._enter()

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call in wire form."""
        assert self._python is not None, "reset() comes first"
        return await self._python.call(operation, args)

    @property
    def store(self) -> Any:
        """The store itself."""
        assert self._python is not None, "reset() comes first"
        return self._python.store

    def environment(self) -> dict[str, str]:
        """Where the store comes from."""
        store: object = self.store
        kind = type(store)
        return {"store": f"{kind.__module__}.{kind.__qualname__}"}

    def faults(self) -> None:
        """The kit does not know what such a store rests on."""

    def stage(self) -> Stage:
        """Clients of the store that the factory yields."""
        stages = importlib.import_module("storeproof.conformance.factorystage")  # which imports this module
        made: Stage = stages.FactoryStage(self.name, self._factory, self._specification, self._limit_s)
        return made

    async def _enter(self) -> None:
        assert self._reopenable is not None
        self._opened = AsyncExitStack()
        try:
            store = await self._opened.enter_async_context(self._reopenable.open())
        except Exception as error:
            raise HarnessError(f"{self.name}: the store could not be opened: {_named(error)}") from error
        self._python = PythonStore(store, self._specification, self._limit_s)

    async def _leave(self, part: str) -> None:
        stack: AsyncExitStack | None = getattr(self, part)
        setattr(self, part, None)
        if stack is not None:
            try:
                await stack.aclose()
            except Exception as error:
                raise HarnessError(f"{self.name}: closing the store failed: {_named(error)}") from error


def made_by(
    factory: Callable[[], Any], name: str, specification: Specification, limit_s: float = DEFAULT_LIMIT_S
) -> Target:
    """The target of a factory that is at hand, as in a test suite."""
    return StoreTarget(name, lambda: _as_context(factory(), name), specification, limit_s)


def resolve(name: str, specification: Specification, limit_s: float = DEFAULT_LIMIT_S) -> Target:
    """The target of a name; raises UsageError for a name that means nothing and HarnessError for a missing part."""
    if name == "memory:":
        return StoreTarget(name, _factory("storeproof.adapters.memory", "MemoryStore"), specification, limit_s)
    if name.startswith(("sqlite:", "postgresql:", "postgres:")):
        databases = importlib.import_module("storeproof.conformance.databases")
        target: Target = databases.target(name, specification, limit_s)
        return target
    if name.startswith("stdio:"):
        wire = importlib.import_module("storeproof.conformance.wiretarget")
        program: Target = wire.wire_target(name, limit_s)
        return program
    module_name, _, attribute = name.partition(":")
    if not attribute or not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split("."))):
        raise UsageError(
            f"unknown target {name!r}; a target is one of memory:, sqlite:, sqlite::memory:, sqlite:FILE, postgresql:, "
            "postgresql://USER@HOST/DATABASE, module:factory, or stdio:COMMAND"
        )
    return StoreTarget(name, _factory(module_name, attribute), specification, limit_s)


def _factory(module_name: str, attribute: str) -> Callable[[], Any]:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the author's module lies where the author stands
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise UsageError(f"no module {module_name!r} here; is it installed, or in this folder?") from error
        raise HarnessError(f"importing {module_name} failed: {_named(error)}") from error
    except (Exception, SystemExit) as error:
        raise HarnessError(f"importing {module_name} failed: {_named(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"module {module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{module_name}:{attribute} is not callable; a factory is called without arguments")
    factory: Callable[[], Any] = found
    return lambda: _as_context(factory(), f"{module_name}:{attribute}")


def _as_context(made: Any, name: str) -> AbstractAsyncContextManager[Any]:
    """A factory returns an async context manager; a store that is none, or the awaitable of one, will do as well."""
    if isinstance(made, AbstractAsyncContextManager):
        return made  # pyright: ignore[reportUnknownVariableType]
    if inspect.isasyncgen(made):
        raise HarnessError(f"{name} is an async generator; put @contextlib.asynccontextmanager above it")
    return _Always(made)


class _Always:
    """A context whose store needs no opening and no closing."""

    def __init__(self, made: Any) -> None:
        self._made = made

    async def __aenter__(self) -> Any:
        return await self._made if inspect.isawaitable(self._made) else self._made

    async def __aexit__(self, *_: object) -> None:
        return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
