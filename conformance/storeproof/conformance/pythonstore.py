"""Calls a Python store in wire form: arguments become keywords and models, results and exceptions become outcomes.

The only module that knows how the Store protocol looks from outside. Everything a store does wrong here is an outcome,
never an exception of the kit: an unknown exception, a result of the wrong type, a call that does not end.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from copy import deepcopy
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from storeproof.conformance.programs import Arguments, method_name
from storeproof.conformance.watchdog import Blocked, watch
from storeproof.reference.model import Outcome, Raised, Returned
from storeproof.spec import arguments as shapes
from storeproof.spec.errors import InvalidArgument, LogConflict, StoreUnavailable
from storeproof.spec.specification import Specification
from storeproof.spec.types import Shape

DEFAULT_LIMIT_S = 10.0
"""Seconds an operation may take before it counts as hanging."""
GRACE_S = 0.5
"""Seconds after which an operation that should have been cancelled is taken to block the event loop."""


class PythonStore:
    """A store of the Store protocol, called by operation name and wire arguments."""

    def __init__(self, store: object, specification: Specification, limit_s: float = DEFAULT_LIMIT_S) -> None:
        self.store = store
        self._limit_s = limit_s
        self._operations = specification.operations

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """The outcome of one call. `Raised` names LogConflict, InvalidArgument, or else what the store did wrong."""
        try:
            with watch(self._limit_s + GRACE_S):
                async with asyncio.timeout(self._limit_s) as limit:
                    outcome = await self.answer(operation, args)
        except Blocked:
            return Raised("NoAnswer", {"message": f"no answer within {self._limit_s:g} s; it blocks the event loop"})
        except TimeoutError:
            return Raised("NoAnswer", {"message": f"no answer within {self._limit_s:g} s"})
        if limit.expired():  # the store caught its cancellation and answered something
            return Raised("NoAnswer", {"message": f"no answer within {self._limit_s:g} s"})
        return outcome

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """As `call`, without a limit of time: for calls that somebody else holds up on purpose."""
        method = getattr(self.store, method_name(operation), None)
        if not callable(method):
            return Raised("NoSuchMethod", {"message": f"the store has no method {method_name(operation)}"})
        shape: type[Shape] = getattr(shapes, self._operations[operation].arguments)
        # A copy: a store that changes or keeps what it was given must not change the program or the model's state.
        keywords = {method_name(name): value for name, value in _typed(shape, deepcopy(args)).items()}
        try:
            answering = method(**keywords)
            if not inspect.isawaitable(answering):
                return Raised("WrongType", {"message": f"{method_name(operation)} is no coroutine method"})
            answer = await answering
        except TypeError as error:
            if misnamed(shape, args) is None:
                return _unexpected(error)
            # Python itself refuses a missing or unknown keyword, before the store could.
            return Raised("InvalidArgument", {"field": None, "message": str(error)})
        except InvalidArgument as error:
            return Raised("InvalidArgument", {"field": error.field, "message": error.problem})
        except LogConflict as error:
            existing = {} if error.existing is None else {"existing": error.existing}
            return Raised("LogConflict", {"runId": error.run_id, "attemptedIndex": error.attempted_index, **existing})
        except StoreUnavailable as error:
            message = f"{error} (cause: {error.__cause__!r})"
            return Raised("StoreUnavailable", {"message": message, "retryable": error.retryable})
        except (Exception, SystemExit) as error:  # whatever else it is, the store raised it
            return _unexpected(error)
        return _wire(answer)


def misnamed(shape: type[Shape], args: Arguments) -> str | None:
    """The first argument that the operation does not know, else the first that it lacks."""
    names = {field.alias or name: field.is_required() for name, field in shape.model_fields.items()}
    unknown = (name for name in args if name not in names)
    lacking = (name for name, required in names.items() if required and name not in args)
    return next(unknown, next(lacking, None))


def _unexpected(error: BaseException) -> Raised:
    return Raised("UnexpectedException", {"message": f"{type(error).__module__}.{type(error).__qualname__}: {error}"})


_NESTED = {"state", "awaiting", "waiting_for", "pending_approval", "error", "delivery", "approval", "schedule"}
"""The arguments that the protocol types as models; events travel in wire form."""

_ADAPTERS: dict[type[Shape], dict[str, TypeAdapter[Any]]] = {}


def _typed(shape: type[Shape], args: Arguments) -> Arguments:
    """Nested values as the models that the protocol names. What is not valid stays as it is, to be refused."""
    if shape not in _ADAPTERS:
        hints = get_type_hints(shape, include_extras=True)
        _ADAPTERS[shape] = {
            field.alias or name: TypeAdapter(hints[name])
            for name, field in shape.model_fields.items()
            if name in _NESTED
        }
    adapters = _ADAPTERS[shape]
    typed = dict(args)
    for name in adapters.keys() & args.keys():
        try:
            typed[name] = adapters[name].validate_python(args[name])
        except (ValidationError, InvalidArgument):
            typed[name] = args[name]
    return typed


def _wire(answer: object) -> Outcome:
    if answer is None:
        return Returned(None)
    if isinstance(answer, Shape):
        return _dumped(answer)
    if isinstance(answer, list | tuple):
        values: list[Any] = []
        for item in answer:  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(item, Shape):
                return _wrong_type(item)  # pyright: ignore[reportUnknownArgumentType]
            dumped = _dumped(item)
            if isinstance(dumped, Raised):
                return dumped
            values.append(dumped.value)
        return Returned(values)
    return _wrong_type(answer)


def _dumped(model: Shape) -> Outcome:
    try:
        with warnings.catch_warnings():
            # pydantic warns where a model was built around validation; the schema decides what that means.
            warnings.simplefilter("ignore")
            return Returned(model.to_wire())
    except Exception as error:
        return Raised("WrongType", {"message": f"the answer cannot be turned into JSON: {error}"})


def _wrong_type(answer: object) -> Raised:
    return Raised(
        "WrongType",
        {"message": f"answered {answer!r:.200}, a {type(answer).__name__}, which storeproof.spec.types lacks"},
    )
