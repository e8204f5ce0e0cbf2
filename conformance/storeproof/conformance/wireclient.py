"""The client of the wire protocol: many requests in flight, answers in any order, notifications (docs/wire.md).

What a program answers to an operation is an outcome, to be judged. What breaks the protocol itself (no JSON, an answer
nobody waits for, none in time, an exit) is a ProtocolError: nothing can be said about the store then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from storeproof.conformance.failures import HarnessError
from storeproof.conformance.portable import printable
from storeproof.conformance.programs import Arguments
from storeproof.conformance.wire import PROTOCOL, MessageError, answered, line, message
from storeproof.conformance.wireintroduction import Introduction, problem_of
from storeproof.conformance.wireprocess import WireProcess
from storeproof.reference.model import Outcome, Raised, Returned
from storeproof.spec.jsonvalues import is_object

PATIENCE_S = 30.0
"""Seconds for starting, emptying and ending a store: it may have a server to wait for."""
LONGEST_LINE = 64 * 2**20
"""Bytes of a line; a longer one is no answer to anything the kit asks."""
_DYING_S = 0.3
"""Seconds that a program which broke the protocol has to end by itself, so that its last words can be told."""
_SHOWN = 200
_LATE_S = 0.05

EventHandler = Callable[[dict[str, Any], int], None]


class ProtocolError(HarnessError):
    """The program broke the wire protocol."""


class Killed(Exception):
    """The kit killed the program before it had answered."""


@dataclass(slots=True)
class _Asked:
    method: str
    params: dict[str, Any]
    answer: asyncio.Future[dict[str, Any]]
    alarm: asyncio.TimerHandle


class WireClient:
    """One run of a program, from `start` to `shut_down` or `kill`; `close` comes last in any case.

    `limit_s`: seconds in which an operation must be answered; `patience_s`: the same for control methods.
    """

    def __init__(self, command: Sequence[str], limit_s: float, patience_s: float = PATIENCE_S) -> None:
        self.failure: ProtocolError | None = None
        """How it broke the protocol, once it has."""
        self._limit_s = limit_s
        self._patience_s = patience_s
        self._process = WireProcess(command, self._received, self._output_ended)
        self._loop = asyncio.get_running_loop()
        self._next = 1
        self._asked: dict[int, _Asked] = {}
        self._abandoned: set[int] = set()
        self._handlers: dict[str, EventHandler] = {}
        self._left: set[str] = set()
        self._outbox: list[bytes] = []
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._breaking: asyncio.Task[None] | None = None
        self._ending = False
        """Whether the kit itself ends the program, so that an end is no news."""

    async def start(self) -> Introduction:
        """Starts the program and introduces itself. Raises ProtocolError, and HarnessError where nothing starts."""
        await self._process.start()
        said = await self.control("initialize", {"protocol": PROTOCOL})
        problem = problem_of(said)
        if problem:
            await self._broken(f"initialize was answered with {said!r:.200}: {problem}")
        return Introduction.of(said)

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """The outcome of an operation. Raises ProtocolError, Killed, and ValueError for what JSON has no words for."""
        return answered(await self._request(operation, args, self._limit_s))

    async def control(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a control method. Raises ProtocolError where it answers an error."""
        outcome = answered(await self._request(method, params, self._patience_s))
        if isinstance(outcome, Raised):
            await self._broken(f"{method} was answered with {outcome.name}: {outcome.data.get('message', '')}")
        assert isinstance(outcome, Returned)
        return outcome.value

    async def subscribe(self, subscription: str, params: dict[str, Any], handler: EventHandler) -> Outcome:
        """The outcome of `subscribe`; `handler` gets the events of the subscription, also those that come too late."""
        self._handlers[subscription] = handler
        asked = {"subscription": subscription, **params}
        outcome = answered(await self._request("subscribe", asked, self._limit_s))
        if isinstance(outcome, Raised):
            del self._handlers[subscription]
        return outcome

    async def unsubscribe(self, subscription: str) -> Outcome:
        """The outcome of `unsubscribe`."""
        return answered(await self._request("unsubscribe", {"subscription": subscription}, self._limit_s))

    async def reset(self) -> None:
        """An empty store, without subscriptions."""
        await self.control("reset", {})
        self._handlers.clear()
        self._left.clear()

    async def shut_down(self) -> None:
        """Ends the program as the protocol says. Raises ProtocolError where it does not end, or not with status 0."""
        if self.failure is not None:
            return
        self._ending = True
        await self.control("shutdown", {})
        if not await self._process.ends_within(self._patience_s):
            await self._broken(f"shutdown was answered, and the program still ran {self._patience_s:g} s later")
        if self._process.status != 0:
            await self._broken("shutdown was answered, and the program did not end with exit status 0")

    async def kill(self) -> None:
        """SIGKILL. What it had answered until then is heard; all other requests raise Killed."""
        self._ending = True
        await self._process.kill()
        for number in tuple(self._asked):
            self._settled(number).set_exception(Killed())

    async def close(self) -> None:
        """Takes the process away, whatever state it is in."""
        self._ending = True
        if self._breaking is not None:
            await asyncio.wait([self._breaking])
        await self._process.close()
        for number in tuple(self._asked):
            self._settled(number).cancel()

    async def _request(self, method: str, params: dict[str, Any], limit_s: float) -> dict[str, Any]:
        if self._breaking is not None:
            await asyncio.wait([self._breaking])
        if self.failure is not None:
            raise self.failure
        number = self._next
        text = line({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        self._next += 1
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        alarm = self._loop.call_later(limit_s, self._late, number, limit_s)
        self._asked[number] = _Asked(method, params, answer, alarm)
        if not self._outbox:
            self._loop.call_soon(self._flush)  # requests that are made in one turn of the loop go out in one write
        self._outbox.append(text)
        try:
            return await answer
        except asyncio.CancelledError:
            if number in self._asked:
                self._settled(number)
                self._abandoned.add(number)  # whoever asked has gone; its answer may still come
            raise

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        self._process.write(b"".join(outbox))

    def _received(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._rest.append(first)
        self._rest_size += len(first)
        if self._rest_size > LONGEST_LINE:
            self._break(f"a line of its standard output is longer than {LONGEST_LINE:,} bytes")
        for piece in others:
            whole = b"".join(self._rest)
            self._rest, self._rest_size = [piece], len(piece)
            if self._breaking is None and whole.strip():
                self._said(whole)

    def _said(self, text: bytes) -> None:
        try:
            found = message(text)
        except MessageError as error:
            self._break(f"a line of its standard output is no message: {error}: {_shown(text)}")
            return
        if found.get("jsonrpc") != "2.0":
            self._break(f'a message without "jsonrpc":"2.0": {_shown(text)}')
        elif "method" in found:
            self._notified(found, text)
        else:
            self._answered(found, text)

    def _answered(self, found: dict[str, Any], text: bytes) -> None:
        number = found.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < self._next:
            known = "the program could not read a request" if number is None and "error" in found else None
            self._break(f"{known or f'an answer to {number!r}, which nobody asked'}: {_shown(text)}")
        elif number in self._abandoned:
            self._abandoned.discard(number)
        elif number not in self._asked:
            self._break(f"a second answer to request {number}: {_shown(text)}")
        elif ("result" in found) == ("error" in found):
            self._break(f"an answer needs either a result or an error: {_shown(text)}")
        elif "error" in found and not _is_error(found["error"]):
            self._break(f"an error is an object with an integer code and a message: {_shown(text)}")
        else:
            asked = self._asked[number]
            if asked.method == "unsubscribe":
                self._left.add(asked.params["subscription"])
            self._settled(number).set_result(found)

    def _notified(self, found: dict[str, Any], text: bytes) -> None:
        params: Any = found.get("params")
        if found["method"] != "event" or "id" in found or not is_object(params):
            self._break(f"neither an answer nor the notification `event`: {_shown(text)}")
            return
        index, event = params.get("eventIndex"), params.get("event")
        handler = self._handlers.get(str(params.get("subscription")))
        if not isinstance(index, int) or isinstance(index, bool) or not is_object(event):
            self._break(f"an event has a subscription, an eventIndex and an event: {_shown(text)}")
        elif handler is None:
            self._break(f"an event of a subscription that is not there: {_shown(text)}")
        elif params["subscription"] in self._left:
            self._loop.call_soon(handler, event, index)  # after whoever unsubscribed has heard the answer
        else:
            handler(event, index)

    def _settled(self, number: int) -> asyncio.Future[dict[str, Any]]:
        asked = self._asked.pop(number)
        asked.alarm.cancel()
        return asked.answer

    def _late(self, number: int, limit_s: float) -> None:
        # Once more in a moment: where the kit itself was busy, the answer lies in the pipe.
        self._loop.call_later(_LATE_S, self._not_answered, number, limit_s)

    def _not_answered(self, number: int, limit_s: float) -> None:
        if number in self._asked:
            asked = self._asked[number]
            shown = _shown(line(asked.params).strip())
            self._break(f"no answer within {limit_s:g} s to request {number}, {asked.method} {shown}")

    def _output_ended(self) -> None:
        if not self._ending:
            self._break("its standard output has ended")

    def _break(self, reason: str) -> None:
        if self._breaking is None:
            self._breaking = self._loop.create_task(self._told(reason))

    async def _broken(self, reason: str) -> None:
        """Raises the ProtocolError."""
        self._break(reason)
        assert self._breaking is not None
        await asyncio.wait([self._breaking])
        assert self.failure is not None
        raise self.failure

    async def _told(self, reason: str) -> None:
        """Waits for what the program may still say, kills it, and lets everybody know."""
        self._ending = True
        ended = await self._process.ends_within(_DYING_S)
        status = self._process.status
        await self._process.kill()
        how = _how_it_ended(status) if ended and status is not None else "it was still running"
        words = self._process.last_words
        said = f"; its standard error ends:\n{printable(words)}" if words else "; it wrote nothing to standard error"
        self.failure = ProtocolError(f"the program broke the wire protocol: {reason}; {how}{said}")
        for number in tuple(self._asked):
            self._settled(number).set_exception(self.failure)


def _is_error(error: Any) -> bool:
    return (
        is_object(error)
        and isinstance(error.get("code"), int)
        and not isinstance(error["code"], bool)
        and isinstance(error.get("message"), str)
    )


def _how_it_ended(status: int) -> str:
    return f"it ended with exit status {status}" if status >= 0 else f"it was ended by signal {-status}"


def _shown(text: bytes) -> str:
    shown = printable(text.decode("utf-8", "backslashreplace"))
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
