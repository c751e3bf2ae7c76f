"""The runs of a suite while they go on: at each look only what is new in their files is read."""

import glob
import math
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from analysis.watch.tail import History, Tail
from experiments.record.files import parsed_json

SCAN = 5.0  # seconds between two searches for new folders
PATIENCE = 600.0  # seconds without a line after which a run that nobody planned counts as interrupted
GRACE = 30.0  # seconds in which the next target of one make command may plan its own runs
OVER = ("finished", "failed", "unreadable")


class Final(NamedTuple):
    """The one number of a finished run: a metric of its measurements, how it is called and written."""

    metric: str
    words: str
    digits: int


FINALS = (
    Final("bleu", "BLEU", 2),
    Final("token_accuracy", "token accuracy", 3),
    Final("contrastive_accuracy", "contrastive accuracy", 3),
    Final("step_seconds", "s/step", 4),
)


def final_number(measurements: list[dict[str, Any]]) -> str:
    """The run's main number in words: on its first test set, or at the largest x it was trained on; "" without one."""
    trained = {(m["x_name"], m["x"]): m["value"] for m in measurements if m["metric"] == "trained"}
    for final in FINALS:
        rows = [m for m in measurements if m["metric"] == final.metric and trained.get((m["x_name"], m["x"]), 1)]
        rows = [m for m in rows if m["x_name"] == rows[0]["x_name"]]
        if rows:
            numeric = all(isinstance(m["x"], (int, float)) for m in rows)
            row = max(rows, key=lambda m: m["x"]) if numeric else rows[0]
            axis = row["x_name"].partition(",")[0]  # "gap, symbols 4": by gap, the number of symbols held at 4
            where = {"test_set": f" on {row['x']}", "all": "", "": ""}.get(axis, f" at {axis} {row['x']}")
            return f"{final.words} {row['value']:.{final.digits}f}{where}"
    return ""


class Run:
    """One run folder as it is now.

    Args:
        folder: .../SUITE/EXPERIMENT/TASK/MODEL/VARIANT/seedN; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _, self.experiment, self.task, self.model, self.variant, seed = folder.parts[-6:]
        self.seed = seed.removeprefix("seed")
        self.log = folder.with_name(f"log-{seed}.txt")
        self.status = "waiting"
        self.history = History()
        self.max_steps = 0
        self.begun = self.heard = self.ended = 0.0  # when its process began, wrote last and ended; 0 if it did not
        self.duration: float | None = None
        self.said = ""  # the main number of a finished run, the last line of a failed one's error, what file is broken
        self.told_in = ""  # where a failed run's output is
        self._tail = Tail(folder / "metrics.jsonl")
        self._read: dict[Path, float] = {}
        self._last_words = ""

    @property
    def system(self) -> str:
        return self.model if self.variant == "base" else f"{self.model}-{self.variant}"

    @property
    def share(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return min(1.0, self.history.step / self.max_steps) if self.max_steps else 0.0

    def look(self, since: float | None, now: float) -> None:
        """Read what is new.

        Args:
            since: When a suite began that is to run it (0: that found it finished); None if none was planned.
            now: The time, in seconds since the epoch like all times here.
        """
        result, failure, config, metrics = map(modified, map(self.folder.joinpath, FILES))
        log, start = modified(self.log), since or 0.0
        self.heard = max(config, metrics, log)
        self.begun = config if config and config >= start else log
        if result and result >= start:
            self._end("finished", self.folder / "result.json", result)
        elif failure and failure >= max(start, config):
            self._end("failed", self.folder / "failure.json", failure)
        elif not self.heard or self.heard < start:
            self.status = "waiting"
        elif (log >= max(config, metrics) and self._stopped(log)) or (since is None and now - self.heard > PATIENCE):
            self.status = "interrupted"
        else:
            self.status = "running"
            self._follow(config)

    def _end(self, status: str, path: Path, when: float) -> None:
        if self.status in OVER and not self._changed(path, when):
            return
        self._read[path] = self.ended = when
        try:
            record = parsed_json(path.read_text(encoding="utf-8"))
            if status == "finished":
                self.said = final_number(record["measurements"])
                began, ended = (datetime.fromisoformat(record[name]) for name in ("started", "finished"))
                self.duration = (ended - began).total_seconds()
            else:
                self.said, self.told_in = last_line(record["error"]), str(record["log"])
            self.status = status
        except FileNotFoundError:  # deleted since it was looked at
            self.status = "waiting"
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            self.status, self.said = "unreadable", f"{path} cannot be read; delete it and run it again"

    def _follow(self, config: float) -> None:
        anew, lines = self._tail.look()
        if anew:
            self.history = History()
        for line in lines:
            self.history.add(line)
        path = self.folder / "config.yaml"
        if config and self._changed(path, config):
            self._read[path] = config
            self.max_steps = planned_steps(path)

    def _stopped(self, log: float) -> bool:
        """Whether its last words are that it was interrupted."""
        if self._changed(self.log, log):
            self._read[self.log] = log
            self._last_words = last_line(last_text(self.log))
        return self._last_words.startswith("interrupted;")

    def _changed(self, path: Path, when: float) -> bool:
        return self._read.get(path) != when


FILES = ("result.json", "failure.json", "config.yaml", "metrics.jsonl")


def modified(path: Path) -> float:
    """When a file was written last; 0 if it is not there."""
    try:
        return os.stat(path).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def last_text(path: Path) -> str:
    """The end of a file; "" if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 400))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def last_line(text: str) -> str:
    """The last line that says something, without characters that a terminal would obey."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1]) if lines else ""


def planned_steps(config: Path) -> int:
    """How many steps the run is to take; 0 where its configuration does not say."""
    try:
        return int(yaml.safe_load(config.read_text(encoding="utf-8"))["trainer"]["max_steps"])
    except Exception:  # of whatever kind, YAML has many: nobody who only watches is helped by it
        return 0


class Suite:
    """All runs of a suite, those planned and those found.

    Args:
        folder: .../RUNS/SUITE
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[Path, Run] = {}
        self.planned: dict[Path, float] = {}
        self.problems: list[str] = []
        self._scanned = -math.inf

    def look(self, now: float) -> None:
        """Read what is new; runs that are over are looked at again only when folders are searched."""
        scan = now - self._scanned >= SCAN
        if scan:
            self._scan()
            self._scanned = now
        for run in self.runs.values():
            if scan or run.status in ("waiting", "running"):
                run.look(self.planned.get(run.folder), now)

    def having(self, *statuses: str) -> list[Run]:
        return [run for run in self.runs.values() if run.status in statuses]

    def settled(self, now: float) -> bool:
        """Whether nothing is left to wait for: all that was planned is over, and no more was planned since."""
        over = self.having(*OVER)
        awaited = any(
            run.status == "running" or (run.folder in self.planned and run.status not in OVER)
            for run in self.runs.values()
        )
        return bool(over) and not awaited and now - max(run.ended for run in over) > GRACE

    def time_left(self, now: float) -> float | None:
        """Seconds until the runs that go on or wait are finished, as long as others like them took; None if unknown.

        Of a kind of which none is finished, those that go on tell by the steps they have done.
        """
        running = self.having("running")
        usual = usual_durations(self.runs.values())
        left = []
        for run in [*running, *self.having("waiting")]:
            expected = next((usual[kind] for kind in kinds(run) if kind in usual), None)
            if expected is None:
                return None
            if run.status == "waiting":
                left.append(expected)
            else:
                left.append(expected * (1 - run.share) if 0 < run.share < 1 else max(0.0, expected - (now - run.begun)))
        return max([sum(left) / max(1, len(running)), *left])

    def _scan(self) -> None:
        self.planned, self.problems = read_plans(self.folder)
        names = glob.glob("*/*/*/*/seed*", root_dir=self.folder)
        found = {self.folder / name for name in names if name.rpartition("seed")[2].isdigit()}
        folders = [*self.planned, *sorted(found - set(self.planned))]
        self.runs = {folder: self.runs.get(folder) or Run(folder) for folder in folders}


def read_plans(folder: Path) -> tuple[dict[Path, float], list[str]]:
    """The runs that suites were to make, each with the time since when it is awaited (0: it was finished already).

    The second value names plans that cannot be read, each in a sentence.
    """
    planned: dict[Path, float] = {}
    problems = []
    for name in sorted(glob.glob("planned-*.json", root_dir=folder)):
        try:
            plan = parsed_json((folder / name).read_text(encoding="utf-8"))
            started, left = datetime.fromisoformat(plan["started"]).timestamp(), set(plan["left"])
            runs = {folder.parent / run: started if run in left else 0.0 for run in plan["runs"]}
            if any(run.parents[4] != folder for run in runs):
                raise ValueError("a run of another suite")
        except FileNotFoundError:  # deleted since it was found
            continue
        except (ValueError, KeyError, TypeError, IndexError):
            problems.append(f"{folder / name} cannot be read: the total counts only runs that have begun.")
            continue
        planned |= runs
    return planned, problems


def kinds(run: Run) -> Iterator[tuple[str, ...]]:
    """What a run has in common with others, the likest first."""
    yield ("system and task", run.experiment, run.task, run.system)
    yield ("task", run.experiment, run.task)
    yield ("system", run.experiment, run.system)
    yield ("experiment", run.experiment)


def usual_durations(runs: Iterable[Run]) -> dict[tuple[str, ...], float]:
    """Mean seconds of the finished runs of each kind, or where none is finished of those that go on, once trained."""
    finished: dict[tuple[str, ...], list[float]] = {}
    going: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        for kind in kinds(run):
            if run.status == "finished" and run.duration is not None:
                finished.setdefault(kind, []).append(run.duration)
            elif run.status == "running" and run.share:
                going.setdefault(kind, []).append(run.history.seconds / run.share)
    return {kind: sum(seconds) / len(seconds) for kind, seconds in (going | finished).items()}
