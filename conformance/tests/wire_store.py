"""A program that speaks the wire protocol: the memory adapter, or the same with one thing wrong.

    python wire_store.py [--journal FILE] [--fault NAME] [--seed N]

With a journal it is durable: every answered operation that may write is in the file first. Alone, without imports of
the kit but what a store needs, it stands for a program that somebody else wrote.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_snake
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import arguments as shapes
from storeproof.spec.arguments import checked
from storeproof.spec.errors import InvalidArgument, LogConflict, StoreUnavailable
from storeproof.spec.jsonvalues import is_array
from storeproof.spec.loader import read_data
from storeproof.spec.specification import Specification
from storeproof.spec.store import Wire
from storeproof.spec.types import DeliverResult, SignalDelivery, TimerWakeup

# Unchecked: it starts many times in one test, and checking the specification takes half of each start.
SPECIFICATION = Specification.from_data(read_data())
OPERATIONS = {name: operation for name, operation in SPECIFICATION.operations.items() if operation.executable}
READS = ("load", "get", "read", "list")
FORGETS_S = 0.2
"""Seconds after its answer that `forgets` keeps an operation."""
HALF_S = 0.2
"""Seconds between the two halves of what `half` writes, and between what `appends-again` keeps and its answer."""
HANDOVER_S = 0.002
"""Seconds between the replay of `handover` and its going live."""


class Refused(Exception):
    """An error answer."""

    def __init__(self, code: int, message: str, name: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({"data": {"name": name, **data}} if name else {})


def several_events(params: dict[str, Any]) -> bool:
    return len(params.get("events", ())) > 1


def as_it_is(store: MemoryStore) -> MemoryStore:
    """A store with the same content, to decide on."""
    seen = MemoryStore()
    vars(seen).update(deepcopy({name: table for name, table in vars(store).items() if name != "_subscribers"}))
    return seen


class HastyStore(MemoryStore):
    """Decides on what it read and writes that down later, as two statements without a transaction do."""

    async def deliver_signal(self, *, run_id: str, delivery: SignalDelivery | Wire, now: int) -> DeliverResult:
        seen = as_it_is(self)
        before = self._runs.get(run_id)
        answer = await seen.deliver_signal(run_id=run_id, delivery=delivery, now=now)
        await asyncio.sleep(0.001)
        if answer.kind == "delivered":
            self.about_to_write(self._runs.get(run_id) is before)
            self._runs[run_id] = vars(seen)["_runs"][run_id]
            self._timers.pop((run_id, SignalDelivery.model_validate(delivery).signal_id), None)
            self._delivered |= vars(seen)["_delivered"]
        return answer

    def about_to_write(self, untouched: bool) -> None:
        """`untouched`: whether the run is still what was decided on."""


class ThrowingStore(HastyStore):
    """Of four deliveries that meet another one it ends three with an error."""

    met = 0

    def about_to_write(self, untouched: bool) -> None:
        self.met += not untouched
        if not untouched and self.met % 4:
            raise RuntimeError("no row")


class TwoOwnersStore(MemoryStore):
    """Looks for the timers that are due and leases them later, whoever has leased them meanwhile."""

    async def claim_due_timers(self, **given: Any) -> list[TimerWakeup]:
        seen = as_it_is(self)
        due = await seen.claim_due_timers(**given)
        await asyncio.sleep(0.001)
        for timer in due:
            place = (timer.run_id, timer.signal_id)
            self._timers[place] = vars(seen)["_timers"][place]
        return due


class Program:
    """One run. Faults are methods named after what they do to a line or to an operation."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.fault: str = options.fault
        self.random = random.Random(options.seed)
        self.journal: Path | None = options.journal
        self.store = self.new_store()
        self.subscriptions: dict[str, Callable[[], Awaitable[None]]] = {}
        self.unwritten: list[asyncio.TimerHandle] = []
        self.answers = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def new_store(self) -> MemoryStore:
        stores = {"check-then-act": HastyStore, "throws": ThrowingStore, "two-owners": TwoOwnersStore}
        return stores.get(self.fault, MemoryStore)()

    async def run(self) -> None:
        if self.journal is not None and self.journal.exists():
            for kept in self.journal.read_text().splitlines():
                method, params = json.loads(kept)
                with suppress(*([Refused] if self.fault == "half" else [])):  # halves need not fit together
                    await self.operation(method, params)
        reader = asyncio.StreamReader(limit=2**26)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while text := await reader.readline():
            if not text.strip():
                continue
            task = asyncio.create_task(self.handle(json.loads(text)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        await asyncio.gather(*self.tasks)

    async def handle(self, request: dict[str, Any]) -> None:
        number, method, params = request["id"], request["method"], request["params"]
        try:
            answer = {"jsonrpc": "2.0", "id": number, "result": await self.result(method, params)}
        except Refused as refused:
            answer = {"jsonrpc": "2.0", "id": number, "error": refused.error}
        except Exception as error:
            answer = {"jsonrpc": "2.0", "id": number, "error": {"code": -32603, "message": repr(error)}}
        if self.fault == "slow" and method in OPERATIONS:
            await asyncio.sleep(self.random.random() * 0.004)
        self.answer(method, answer)
        if method == "shutdown":
            others = self.tasks - {asyncio.current_task()}
            if others:
                await asyncio.wait(others)
            sys.stdout.flush()
            os._exit(3 if self.fault == "exits-with-3" else 0)

    def write(self, text: str) -> None:
        os.write(1, text.encode() + b"\n") if len(text) < 4096 else self.write_all(text.encode() + b"\n")

    def write_all(self, data: bytes) -> None:
        os.set_blocking(1, True)
        while data:
            data = data[os.write(1, data) :]

    def answer(self, method: str, answer: dict[str, Any]) -> None:
        self.answers += 1
        text = json.dumps(answer)
        if method not in OPERATIONS or self.answers < 40:
            self.write(text)
        elif self.fault == "hangs":
            print("waiting for a lock", file=sys.stderr)
            return
        elif self.fault == "late":
            asyncio.get_running_loop().call_later(1.5, self.write, text)
        elif self.fault == "garbage":
            print("about to write nonsense", file=sys.stderr)
            sys.stderr.flush()
            self.write("Traceback (most recent call last):")
        elif self.fault == "twice":
            self.write(f"{text}\n{text}")
        elif self.fault == "unknown-id":
            self.write(json.dumps({**answer, "id": answer["id"] + 1_000}))
        elif self.fault == "neither":
            self.write(json.dumps({"jsonrpc": "2.0", "id": answer["id"]}))
        elif self.fault == "dies":
            print("out of memory", file=sys.stderr)
            sys.stderr.flush()
            os._exit(7)
        elif self.fault == "closes":
            print("closing", file=sys.stderr)
            sys.stderr.flush()
            os.close(1)
            time.sleep(60)
        else:
            self.write(text)

    async def result(self, method: str, params: dict[str, Any]) -> Any:
        if method == "initialize":
            if params["protocol"] != 1:
                raise Refused(-32602, "only 1", "InvalidArgument", field="protocol")
            if self.fault == "flood":
                sys.stderr.write("x" * 79 + "\n")
                sys.stderr.write(f"{'y' * 79}\n" * 20_000)
            return self.introduction()
        if method == "reset":
            for end in self.subscriptions.values():
                await end()
            self.subscriptions.clear()
            self.store = self.new_store()
            for late in self.unwritten:
                late.cancel()
            self.unwritten.clear()
            if self.journal is not None:
                self.journal.write_text("")
            return None
        if method == "shutdown":
            return None
        if method == "subscribe":
            return await self.subscribe(**params)
        if method == "unsubscribe":
            name = params["subscription"]
            if name in self.subscriptions:
                end = self.subscriptions.pop(name)
                if self.fault != "deaf":
                    await end()
            return None
        if method not in OPERATIONS:
            raise Refused(-32601, f"no method {method}")
        answer = await self.operation(method, params)
        if self.journal is not None and not method.startswith(READS):
            await self.keep(method, params)
        return answer

    def introduction(self) -> dict[str, Any]:
        durable = self.journal is not None or self.fault == "not-durable"
        capabilities = ["subscribe", "teleport", *(["durable"] if durable else [])]
        said = {"name": "wire_store", "version": "1", "specRevision": "1", "capabilities": capabilities}
        if self.fault == "elsewhere":
            del said["specRevision"]
        return {"protocol": 2 if self.fault == "protocol-2" else 1, **said, "subscribeDelayMs": 0}

    async def keep(self, method: str, params: dict[str, Any]) -> None:
        assert self.journal is not None
        text = f"{json.dumps([method, params])}\n"
        if self.fault == "half" and several_events(params):
            # Two writes, as without a transaction, and time to die between them.
            first = params["expectedNextIndex"]
            for place, event in enumerate(params["events"]):
                if place:
                    await asyncio.sleep(HALF_S)
                part = {**params, "expectedNextIndex": first + place, "events": [event]}
                self.append(f"{json.dumps([method, part])}\n")
        elif self.fault == "forgets":
            # Acknowledged before it is kept, as with a write-behind cache.
            self.unwritten.append(asyncio.get_running_loop().call_later(FORGETS_S, self.append, text))
        else:
            self.append(text)
            if self.fault == "appends-again" and several_events(params):
                await asyncio.sleep(HALF_S)

    def append(self, text: str) -> None:
        assert self.journal is not None
        with self.journal.open("a") as file:
            file.write(text)

    async def operation(self, method: str, params: dict[str, Any]) -> Any:
        shape = getattr(shapes, OPERATIONS[method].arguments)
        if self.fault == "elsewhere" and "unknown" in params:
            raise RuntimeError("a driver's error")
        fields = {field.alias or name: field.is_required() for name, field in shape.model_fields.items()}
        for name in params.keys() - fields.keys():
            raise Refused(-32602, "unknown", "InvalidArgument", field=name)
        for name in [name for name, required in fields.items() if required and name not in params]:
            raise Refused(-32602, "missing", "InvalidArgument", field=name)
        keywords = {to_snake(name): value for name, value in params.items()}
        if self.fault == "appends-again" and several_events(params):
            log = await self.store.read_events(run_id=params["runId"], from_index=0)
            keywords["expected_next_index"] = len(log)  # wherever the log ends, so that a retry writes them twice
        try:
            found = await getattr(self.store, to_snake(method))(**keywords)
            if self.fault == "any-order" and method == "claimDueTimers":
                self.random.shuffle(found)
        except InvalidArgument as error:
            raise Refused(-32602, error.problem, "InvalidArgument", field=error.field) from error
        except LogConflict as error:
            existing = {} if error.existing is None else {"existing": error.existing}
            data = {"runId": error.run_id, "attemptedIndex": error.attempted_index, **existing}
            raise Refused(-32001, "conflict", "LogConflict", **data) from error
        except StoreUnavailable as error:
            raise Refused(-32002, str(error), "StoreUnavailable", retryable=error.retryable) from error
        return self.wired(found)

    def wired(self, found: Any) -> Any:
        if is_array(found):
            return [self.wired(item) for item in found]
        wired = None if found is None else found.to_wire()
        return {**wired, "row_id": 7} if self.fault == "extra-fields" and wired is not None else wired

    async def subscribe(self, subscription: str, **params: Any) -> None:
        for name in [name for name in ("runId", "fromIndex") if name not in params]:
            raise Refused(-32602, "missing", "InvalidArgument", field=name)
        for name in params.keys() - {"runId", "fromIndex"}:
            raise Refused(-32602, "unknown", "InvalidArgument", field=name)
        if subscription in self.subscriptions:
            raise Refused(-32602, "in use", "InvalidArgument", field="subscription")

        def callback(event: dict[str, Any], index: int) -> None:
            if self.fault == "gap" and index == 1:
                return
            said = {"subscription": subscription, "eventIndex": index, "event": event}
            self.write(json.dumps({"jsonrpc": "2.0", "method": "event", "params": said}))

        try:
            checked(shapes.SubscribeEventsArguments, run_id=params["runId"], from_index=params["fromIndex"])
            if self.fault == "handover":
                # What is appended between the replay and the look at the log's length is never given.
                for row in (await self.store.read_events(run_id=params["runId"]))[params["fromIndex"] :]:
                    callback(row.event, row.event_index)
                await asyncio.sleep(HANDOVER_S)
                length = len(await self.store.read_events(run_id=params["runId"]))
                params["fromIndex"] = max(params["fromIndex"], length)
            end = await self.store.subscribe_events(
                run_id=params["runId"], from_index=params["fromIndex"], callback=callback
            )
        except InvalidArgument as error:
            raise Refused(-32602, error.problem, "InvalidArgument", field=error.field) from error
        self.subscriptions[subscription] = end


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--fault", default="")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.fault == "exits":
        print("no licence", file=sys.stderr)
        raise SystemExit(4)
    asyncio.run(Program(options).run())


if __name__ == "__main__":
    main()
