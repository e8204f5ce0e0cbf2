"""A client of `storeproof serve` that knows nothing: it sends bytes and reads lines."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATIENCE_S = 60.0


class WireSession:
    """A running `storeproof serve`, and the messages it sends."""

    def __init__(self, *arguments: str, folder: Path, env: dict[str, str] | None = None) -> None:
        self._errors = (folder / "stderr.txt").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "storeproof.conformance.cli", "serve", *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": str(HERE), **(env or {})},
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._next = 0

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        """All in one write, each a line; bytes go as they are."""
        assert self.process.stdin is not None
        lines = [text if isinstance(text, bytes) else json.dumps(text).encode() + b"\n" for text in messages]
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """A request with an id of its own."""
        self._next += 1
        return {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}

    def received(self) -> dict[str, Any]:
        """The next message."""
        line = self._lines.get(timeout=PATIENCE_S)
        assert line, f"the output ended: {self.errors()}"
        message: dict[str, Any] = json.loads(line)
        assert message.pop("jsonrpc") == "2.0"
        return message

    def rest(self) -> list[dict[str, Any]]:
        """Every message up to the end of the output."""
        return [json.loads(line) for line in iter(lambda: self._lines.get(timeout=PATIENCE_S), b"")]

    def ask(self, method: str, **params: Any) -> Any:
        """The result of one request, or its error object."""
        request = self.request(method, **params)
        self.send(request)
        answer = self.received()
        assert answer.pop("id") == request["id"]
        (found,) = answer.values()
        return found

    def end_input(self) -> None:
        """Nothing more will be sent."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def left(self) -> int:
        """The exit code, once the process has ended."""
        return self.process.wait(PATIENCE_S)

    def errors(self) -> str:
        """What it has printed for people."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def close(self) -> None:
        """Whatever still runs, ends."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


@contextmanager
def serving(
    *arguments: str, folder: Path, initialize: bool = True, env: dict[str, str] | None = None
) -> Generator[WireSession]:
    """`storeproof serve ARGUMENTS` in `folder`, ready for operations."""
    session = WireSession(*arguments, folder=folder, env=env)
    try:
        if initialize:
            session.ask("initialize", protocol=1)
        yield session
    finally:
        session.close()
