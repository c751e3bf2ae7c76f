"""The metrics of a run while it goes on: a growing file, read once."""

import math
import os
from pathlib import Path

from experiments.record.files import parsed_json


class Tail:
    """What a growing file gained since the last look, in whole lines; a half-written one is left for the next look.

    A file that was rewritten, shortened or replaced is read from its beginning again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._restart()

    def _restart(self) -> None:
        self._offset = 0
        self._before = b""  # the last bytes before the offset, by which a rewritten file is known
        self._stamp: tuple[int, int] = (0, 0)

    def look(self) -> tuple[bool, list[bytes]]:
        """Whether the file begins anew, and its new lines."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_mtime_ns, status.st_size) == self._stamp:
                    return False, []
                file.seek(self._offset - len(self._before))
                anew = file.read(len(self._before)) != self._before
                if anew:
                    file.seek(0)
                    self._restart()
                block = file.read()
        except FileNotFoundError:
            anew = self._offset > 0
            self._restart()
            return anew, []
        whole = block[: block.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._before = (self._before + whole[-64:])[-64:]
        self._stamp = (status.st_mtime_ns, status.st_size)
        return anew, whole.split(b"\n")[:-1]


class History:
    """Metrics of a run as they happened: by name, points (step, value)."""

    def __init__(self) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.step = 0
        self.seconds = 0.0
        self.target_tokens = 0.0
        self.unreadable = 0

    def add(self, line: bytes) -> None:
        """Take in one line of metrics.jsonl; one that is not what was agreed is counted and left out."""
        try:
            row = parsed_json(line.decode("utf-8"))
            step, seconds, tokens = int(float(row["step"])), float(row["seconds"]), float(row["target_tokens"])
            metric, value = str(row["metric"]), float(row["value"])
            if not math.isfinite(seconds + tokens):
                raise ValueError("neither time nor tokens are infinite")
        except (ValueError, KeyError, TypeError, OverflowError):
            self.unreadable += 1
            return
        self.curves.setdefault(metric, []).append((step, value))
        self.step, self.seconds, self.target_tokens = step, seconds, tokens

    @property
    def latest(self) -> dict[str, float]:
        return {metric: points[-1][1] for metric, points in self.curves.items()}

    @property
    def tokens_per_second(self) -> float:
        """Target tokens/s since the last validation, before the first one since the start."""
        since_start = self.target_tokens / self.seconds if self.seconds > 0 else math.nan
        return self.latest.get("train/tokens_per_second", since_start)
