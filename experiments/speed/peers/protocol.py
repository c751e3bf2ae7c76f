"""Protocol between the comparison and its workers: one command per line, one JSON answer per line.

A worker owns a model and its training loop. On the command `train` it trains a block of updates, on
`translate` it translates the test set, and is idle otherwise, so that only one of many uses the machine. Imports the
standard library alone: this runs in JoeyNMT's environment too.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class WorkerChannel:
    """The worker's end. Prints of libraries go to the worker's log; only answers reach the comparison."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)

    def answer(self, **values: Any) -> None:
        self._answers.write(json.dumps(values) + "\n")

    def command(self) -> str:
        """The next command; when there is none left the process ends, whatever loop it is in."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        return line.strip()


class BlockTimer:
    """Stops a training loop after every block of updates until the next command.

    The clock runs from the command to the end of the block's last update: loading and the change of an epoch count, as
    they do in training.

    Args:
        channel: Where commands come from.
        updates: Length of a block.
        translate: Gives the hypotheses of the test set.
    """

    def __init__(self, channel: WorkerChannel, updates: int, translate: Callable[[], list[str]]) -> None:
        self.channel, self.updates, self.translate = channel, updates, translate

    def wait(self) -> None:
        """Answer `translate` until the command `train` arrives."""
        while (command := self.channel.command()) == "translate":
            begun = time.perf_counter()
            hypotheses = self.translate()
            self.channel.answer(seconds=time.perf_counter() - begun, hypotheses=hypotheses)
        assert command == "train", command
        self.done = self.target_tokens = self.tokens = self.positions = 0
        self.begun = time.perf_counter()

    def count(self, target_tokens: int, tokens: int, positions: int) -> None:
        """Count an update.

        Args:
            target_tokens: Scored target tokens, the end of sentence among them.
            tokens: Source and target tokens without padding.
            positions: Source and target tokens with padding.
        """
        self.done += 1
        self.target_tokens += target_tokens
        self.tokens += tokens
        self.positions += positions

    def pause(self) -> None:
        """At the end of a block report it and wait."""
        if self.done == self.updates:
            seconds = time.perf_counter() - self.begun
            counted = {"target_tokens": self.target_tokens, "tokens": self.tokens, "positions": self.positions}
            self.channel.answer(seconds=seconds, updates=self.done, **counted)
            self.wait()


class WorkerFailed(Exception):
    """A worker ended too early; the message names its log."""


class Worker:
    """The comparison's end: a process that trains one model.

    Args:
        name: In messages.
        command: Starts it.
        log: File for its output.
        environment: Its environment variables.

    Raises:
        WorkerFailed: it ended while starting.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, encoding="utf-8"
            )
        try:
            self.started: dict[str, Any] = self._read()
        except WorkerFailed:
            self.end()
            raise

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: reading raises, with its last words
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            lines = [line.strip() for line in self.log.read_text(encoding="utf-8").splitlines() if line.strip()]
            raise WorkerFailed(f"{self.name} ended with {lines[-1] if lines else 'no output'!r}: see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.process.terminate()
        self.end()

    def end(self) -> None:
        """An idle worker ends when its input does; a busy one has to be terminated before."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # of a command that it did not live to read
                pipe.close()
        self.process.wait()
