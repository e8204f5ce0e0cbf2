"""The server side of the wire protocol: one store, offered to one client over two streams (docs/serve.md).

Knows methods, subscriptions and when to stop; not what the store is, nor where the streams lead. Requests run as tasks,
side by side, and are answered when they are done.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from storeproof.conformance.offers import Offer
from storeproof.conformance.pythonstore import misnamed
from storeproof.conformance.versions import kit_version
from storeproof.conformance.wire import (
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL,
    MessageError,
    NoJsonError,
    error_of,
    line,
    message,
)
from storeproof.conformance.wirestreams import LineReader, LineWriter
from storeproof.reference.model import Outcome, Raised, Returned
from storeproof.spec import arguments as shapes
from storeproof.spec.errors import InvalidArgument, StoreUnavailable
from storeproof.spec.jsonvalues import equal, is_object
from storeproof.spec.specification import Specification
from storeproof.spec.types import Shape

PATIENCE_S = 60.0
"""Seconds that requests in flight get after the last one was read; a store that hangs must not outlive its client."""

CLEANUP_S = 5.0
"""Seconds that cancelled requests get to end."""


class WireServer:
    """Answers requests until the input ends, `shutdown` is asked for, or nobody reads the answers."""

    def __init__(self, offer: Offer, specification: Specification, reader: LineReader, writer: LineWriter) -> None:
        self._offer = offer
        self._specification = specification
        self._reader = reader
        self._writer = writer
        self._initialized = False
        self._running: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[str, _Subscription] = {}
        self._controls: dict[str, Callable[[dict[str, Any]], Awaitable[Outcome]]] = {
            "initialize": self._initialize,
            "reset": self._reset,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    async def run(self) -> None:
        """Serves; when it returns every request is answered, or was cancelled after PATIENCE_S."""
        broken = asyncio.create_task(self._writer.broken.wait())
        broken.add_done_callback(lambda _: self._reader.end())
        last: dict[str, Any] | None = None
        try:
            async for text in self._reader.lines():
                request = self._request(text)
                if request is None:
                    continue
                if request["method"] == "shutdown":
                    last = request
                    break
                self._start(request)
            await self._finish(PATIENCE_S)
            if last:
                self._send(last["id"], Returned(None))
        finally:
            broken.cancel()
            await self._finish(0)
            for name in list(self._subscriptions):
                await self._end(name)

    def _request(self, text: bytes) -> dict[str, Any] | None:
        """The request of a line; None where there is none, which is answered here."""
        if not text.strip():
            return None
        try:
            found = message(text)
        except MessageError as error:
            self._refuse(None, PARSE_ERROR if isinstance(error, NoJsonError) else INVALID_REQUEST, str(error))
            return None
        problem = _no_request(found)
        if problem:
            self._refuse(None, INVALID_REQUEST, problem)
            return None
        return found

    def _start(self, request: dict[str, Any]) -> None:
        task = asyncio.create_task(self._serve(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, request: dict[str, Any]) -> None:
        name, method = request["id"], request["method"]
        if (method == "initialize") == self._initialized:
            self._refuse(name, INVALID_REQUEST, "initialize comes once" if self._initialized else "initialize first")
            return
        params = request.get("params", {})
        outcome: Outcome
        try:
            if not is_object(params):
                outcome = _invalid("arguments", "are given by name, as an object")
            elif method in self._controls:
                outcome = await self._controls[method](params)
            else:
                outcome = await self._operation(method, params)
        except Exception as error:  # a reset that fails, say; the store is still there and may answer
            traceback.print_exc()
            outcome = Raised("HarnessError", {"message": f"{type(error).__name__}: {error}"})
        self._send(name, outcome)
        if method == "subscribe" and isinstance(outcome, Returned) and params["subscription"] in self._subscriptions:
            self._subscriptions[params["subscription"]].release()

    async def _operation(self, method: str, params: dict[str, Any]) -> Outcome:
        operation = self._specification.operations.get(method)
        if operation is None or not operation.executable:
            return _no_method(f"there is no operation {method}")
        shape: type[Shape] = getattr(shapes, operation.arguments)
        # Names only: what they become in Python is this side's business. The values are the store's.
        field = misnamed(shape, params)
        if field is not None:
            return _misnamed(field, params)
        return await self._offer.answer(method, params)

    async def _initialize(self, params: dict[str, Any]) -> Outcome:
        if not equal(params.get("protocol"), PROTOCOL):
            return _invalid("protocol", f"this side speaks version {PROTOCOL}")
        self._initialized = True
        capabilities = self._offer.capabilities
        result: dict[str, Any] = {
            "protocol": PROTOCOL,
            "name": self._offer.name,
            "version": kit_version(),
            "specRevision": self._specification.revision,
            "capabilities": sorted(capabilities),
        }
        if "subscribe" in capabilities:
            result["subscribeDelayMs"] = getattr(self._offer.store, "subscribe_delay_ms", 0)
        return Returned(result)

    async def _reset(self, _params: dict[str, Any]) -> Outcome:
        if not self._offer.resettable:
            return _no_method("reset: this is an application's store, served with --no-reset")
        for name in list(self._subscriptions):
            await self._end(name)
        await self._offer.reset()
        return Returned(None)

    async def _subscribe(self, params: dict[str, Any]) -> Outcome:
        if "subscribe" not in self._offer.capabilities:
            return _no_method("the store has no subscriptions")
        name = params.get("subscription")
        if not isinstance(name, str) or name in self._subscriptions:
            return _invalid("subscription", "is in use already" if isinstance(name, str) else "is a string")
        arguments = {key: value for key, value in params.items() if key != "subscription"}
        field = misnamed(shapes.SubscribeEventsArguments, arguments)
        if field is not None:
            return _misnamed(field, arguments)
        subscription = self._subscriptions[name] = _Subscription(name, self._writer)
        try:
            await subscription.begin(self._offer.store, arguments)
        except InvalidArgument as error:
            del self._subscriptions[name]
            return _invalid(error.field, error.problem)
        except StoreUnavailable as error:
            del self._subscriptions[name]
            return Raised("StoreUnavailable", {"message": str(error), "retryable": error.retryable})
        except Exception as error:
            del self._subscriptions[name]
            return Raised("UnexpectedException", {"message": f"{type(error).__name__}: {error}"})
        return Returned(None)

    async def _unsubscribe(self, params: dict[str, Any]) -> Outcome:
        name = params.get("subscription")
        if not isinstance(name, str):
            return _invalid("subscription", "is a string")
        await self._end(name)
        return Returned(None)

    async def _end(self, name: str) -> None:
        subscription = self._subscriptions.pop(name, None)
        if subscription is not None:
            await subscription.end()

    def _send(self, name: Any, outcome: Outcome) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": name}
        try:
            if isinstance(outcome, Raised):
                text = line({**answer, "error": error_of(outcome)})
            else:
                text = line({**answer, "result": outcome.value})
        except (TypeError, ValueError, RecursionError) as error:
            broken = Raised("WrongType", {"message": f"the answer cannot be turned into JSON: {error}"})
            text = line({**answer, "error": error_of(broken)})
        self._writer.write(text)

    def _refuse(self, name: Any, code: int, problem: str) -> None:
        self._writer.write(line({"jsonrpc": "2.0", "id": name, "error": {"code": code, "message": problem}}))

    async def _finish(self, patience_s: float) -> None:
        """Waits for the requests in flight, and cancels what is left."""
        if self._running and patience_s:
            await asyncio.wait(self._running, timeout=patience_s)
        left = list(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CLEANUP_S)


class _Subscription:
    """Events for one subscriber; none before the answer to `subscribe`, none after the one to `unsubscribe`."""

    def __init__(self, name: str, writer: LineWriter) -> None:
        self._name = name
        self._writer = writer
        self._held: list[bytes] | None = []
        self._ended = False
        self._unsubscribe: Callable[[], Awaitable[None]] | None = None

    async def begin(self, store: Any, arguments: dict[str, Any]) -> None:
        """Whatever the store raises comes through."""
        self._unsubscribe = await store.subscribe_events(
            run_id=arguments["runId"], from_index=arguments["fromIndex"], callback=self._given
        )
        if self._ended:
            await self.end()

    def release(self) -> None:
        """The answer is written: events may follow it."""
        held, self._held = self._held or [], None
        for text in held:
            self._writer.write(text)

    async def end(self) -> None:
        """Whatever the store does afterwards, nothing more is sent."""
        self._ended = True
        if self._unsubscribe is not None:
            await self._unsubscribe()

    def _given(self, event: dict[str, Any], index: int) -> None:
        if self._ended:
            return
        params = {"subscription": self._name, "eventIndex": index, "event": event}
        text = line({"jsonrpc": "2.0", "method": "event", "params": params})
        if self._held is None:
            self._writer.write(text)
        else:
            self._held.append(text)


def _no_request(found: dict[str, Any]) -> str | None:
    """What keeps a JSON object from being a request."""
    if found.get("jsonrpc") != "2.0":
        return 'no request: "jsonrpc" is not "2.0"'
    if not isinstance(found.get("method"), str):
        return 'no request: "method" is no string'
    name = found.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        return 'no request: "id" is neither a string nor a number'
    if not isinstance(found.get("params", {}), dict | list):
        return 'no request: "params" is no object'
    return None


def _invalid(field: str, problem: str) -> Raised:
    return Raised("InvalidArgument", {"field": field, "message": f"{field}: {problem}"})


def _misnamed(field: str, params: dict[str, Any]) -> Raised:
    return _invalid(field, "there is no such argument" if field in params else "is required")


def _no_method(problem: str) -> Raised:
    return Raised("NoSuchMethod", {"message": problem})
