"""What `storeproof serve` can offer: a Python adapter by target name, the reference model, or an application's store.

Knows where a store's data are and what may be done with them; nothing of the protocol. Whose data they are decides:
what the kit made may be emptied, what an application made may not.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from storeproof.conformance.addresses import without_password
from storeproof.conformance.embedded import URL_VARIABLE
from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.conformance.mutated import ModelTarget
from storeproof.conformance.programs import Arguments
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.targets import Target, made_by, resolve
from storeproof.reference.model import Model, Outcome, Raised
from storeproof.spec import arguments as shapes
from storeproof.spec.arguments import checked
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.specification import Specification


class Offer(Protocol):
    """A store to be served. Opened once; `reset` only while nothing else runs."""

    name: str
    resettable: bool
    """Whether `reset` may empty it."""

    @property
    def capabilities(self) -> frozenset[str]:
        """`durable` and `subscribe`, once it is open."""
        ...

    @property
    def store(self) -> Any:
        """The Python store, for subscriptions."""
        ...

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def reset(self) -> None: ...

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """One call, in wire form; several run side by side."""
        ...


class StoreOffer:
    """The store of a target. `durable`: another process that is started alike sees the same data."""

    def __init__(
        self, target: Target, specification: Specification, *, durable: bool = False, resettable: bool = True
    ) -> None:
        self.name = target.name
        self.resettable = resettable
        self._target = target
        self._specification = specification
        self._durable = durable
        self._python: PythonStore | None = None

    @property
    def capabilities(self) -> frozenset[str]:
        """What the target says, but `durable` means the process here."""
        return self._target.capabilities - {"durable"} | ({"durable"} if self._durable else set[str]())

    @property
    def store(self) -> Any:
        """The Python store."""
        return self._target.store

    async def open(self) -> None:
        """Raises HarnessError, or UsageError where the place is not the kit's."""
        await self._target.open()

    async def close(self) -> None:
        """Takes away what was to be temporary."""
        await self._target.close()

    async def reset(self) -> None:
        """An empty store."""
        await self._target.reset()

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """One call. Without a limit of time, which is the client's business."""
        store = self._target.store  # which a reset may replace
        if self._python is None or self._python.store is not store:
            self._python = PythonStore(store, self._specification)
        return await self._python.answer(operation, args)


class ModelOffer:
    """The reference model, with the specification's own check of arguments before it."""

    capabilities = frozenset[str]()
    resettable = True

    def __init__(self, name: str, specification: Specification) -> None:
        self.name = name
        self._operations = specification.operations
        self._target = ModelTarget(name, Model(specification))

    @property
    def store(self) -> Any:
        """There is none; without the capability `subscribe` nobody asks for it."""
        return self._target.store

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    async def reset(self) -> None:
        """An empty store."""
        await self._target.reset()

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """One step of the model."""
        try:
            valid = checked(getattr(shapes, self._operations[operation].arguments), **args)
        except InvalidArgument as error:
            return Raised("InvalidArgument", {"field": error.field, "message": error.problem})
        return await self._target.call(operation, valid.to_wire())


def offer(name: str, specification: Specification, *, schema: str | None = None, reset: bool = True) -> Offer:
    """What a target name and the options of the command offer.

    Without `reset` it is an application's database: nothing is made, marked or emptied. Raises UsageError for names
    and options that mean nothing together, HarnessError for a missing part.
    """
    scheme, _, rest = name.partition(":")
    postgres = scheme in ("postgresql", "postgres")
    if schema is not None:
        if not postgres:
            raise UsageError("--schema is for postgresql://…")
        if not rest and not os.environ.get(URL_VARIABLE):
            raise UsageError(
                f"--schema: the embedded server ends with the process; name a server or set {URL_VARIABLE}"
            )
        _must_be_a_name(schema)
    if not reset:
        return _application(name, specification, schema)
    if name == "model:":
        return ModelOffer(name, specification)
    if postgres:
        databases = importlib.import_module("storeproof.conformance.databases")
        target: Target = databases.target(name, specification, 0, schema)
        return StoreOffer(target, specification, durable=schema is not None)
    durable = scheme == "sqlite" and rest not in ("", ":memory:")
    return StoreOffer(resolve(name, specification), specification, durable=durable)


def _application(name: str, specification: Specification, schema: str | None) -> Offer:
    scheme, _, rest = name.partition(":")
    opened: Callable[[], Any]
    if scheme == "sqlite" and rest not in ("", ":memory:"):
        if not Path(rest).is_file():
            raise UsageError(f"{name}: there is no such file; `storeproof migrate {name}` makes one")
        opened = lambda: _application_sqlite(name, rest)  # noqa: E731
    elif scheme in ("postgresql", "postgres") and rest.startswith("//"):
        opened = lambda: _application_postgres(name, schema)  # noqa: E731
    else:
        raise UsageError("--no-reset is for a database that exists: sqlite:FILE or postgresql://…")
    target = made_by(opened, without_password(name), specification)
    return StoreOffer(target, specification, durable=True, resettable=False)


@asynccontextmanager
async def _application_sqlite(name: str, file: str) -> AsyncGenerator[Any]:
    local = _adapter("storeproof.adapters.d1.local", "storeproof[d1]")
    migrations = _adapter("storeproof.adapters.d1.migrations", "storeproof[d1]")
    async with local.LocalD1(file) as binding:
        _must_be_complete(name, await migrations.check(binding))
        async with _adapter("storeproof.adapters.d1", "storeproof[d1]").D1Store(binding) as store:
            yield store


@asynccontextmanager
async def _application_postgres(url: str, schema: str | None) -> AsyncGenerator[Any]:
    migrations = _adapter("storeproof.adapters.postgres.migrations", "storeproof[postgres]")
    _must_be_complete(without_password(url), await migrations.check(url, schema=schema))
    postgres = _adapter("storeproof.adapters.postgres", "storeproof[postgres]")
    async with postgres.PostgresStore(url, schema=schema) as store:
        yield store


def _must_be_complete(name: str, problems: list[str]) -> None:
    if problems:
        raise HarnessError(f"{name}: {problems[0]}; `storeproof migrate` puts this right")


def _must_be_a_name(schema: str) -> None:
    identifiers = _adapter("storeproof.adapters.postgres.identifiers", "storeproof[postgres]")
    try:
        identifiers.quoted(schema)
    except ValueError as error:
        raise UsageError(f"--schema: {error}") from error


def _adapter(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise HarnessError(f"{error.name} is not installed; pip install '{extra}'") from error
