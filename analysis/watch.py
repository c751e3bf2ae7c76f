"""A suite in the terminal while it runs: `python -m analysis.watch --suite quick`."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from experiments.record.read import checked, read_failure, read_json, read_result
from experiments.record.schema import History, Plan
from experiments.record.text import visible

REFRESH = 2.0  # seconds
SILENT = 60.0  # seconds without a new line after which a run is silent
TAIL = 2**16  # bytes at the end of metrics.jsonl in which the latest values are looked for
SCORES = ("val/bleu", "val/control_accuracy", "val/token_accuracy", "val/loss")  # the first that is there is shown
STYLES = {"unreadable": "bold red", "failed": "bold red", "running": "bold cyan", "silent": "yellow"}
STYLES |= {"waiting": "", "finished": "green"}  # in the order of the rows
UNFINISHED = ("running", "silent", "waiting")


class RunStatus(NamedTuple):
    """A run as its files are now: `seconds` are those of training so far, or of the whole run if it is finished."""

    folder: Path
    status: str = "waiting"  # a key of STYLES
    note: str = ""
    seconds: float = 0.0
    step: int = 0
    max_steps: int = 0
    latest: Mapping[str, float] = {}

    @property
    def share(self) -> float:
        """Share of the training steps that are done."""
        return min(1.0, self.step / self.max_steps) if self.max_steps else 0.0

    @property
    def kinds(self) -> list[tuple[str, ...]]:
        """Groups of runs that take about as long, the most similar first: the same model, task, or experiment."""
        return [self.folder.parts[-5 : -5 + parts] for parts in (4, 2, 1)]


def read_suite(suite: Path, now: float) -> tuple[list[RunStatus], list[str]]:
    """Planned runs and others found in the folder of a suite; a sentence for each plan that cannot be read."""
    planned: dict[Path, float] = {}
    problems = []
    for path in sorted(suite.glob("planned-*.json")):
        try:
            plan: Plan = read_json(path, Plan)
            started, left = datetime.fromisoformat(plan["started"]).timestamp(), set(plan["left"])
            runs = {suite.parent / run: started if run in left else 0.0 for run in plan["runs"]}
            if any(run.parents[4] != suite for run in runs):
                raise ValueError("a run of another suite")
            planned |= runs
        except FileNotFoundError:  # deleted since it was found
            continue
        except (ValueError, IndexError):
            problems.append(visible(f"{path} cannot be read: only runs that have started are counted."))
    found = {path for path in suite.glob("*/*/*/*/seed*") if path.name.removeprefix("seed").isdecimal()}
    return [read_run(run, planned.get(run, 0.0), now) for run in [*planned, *sorted(found - set(planned))]], problems


def read_run(folder: Path, since: float, now: float) -> RunStatus:
    """The state of a run by its files; those older than `since`, when a suite started that repeats it, do not count."""
    names = ("result.json", "failure.json", "config.yaml", "metrics.jsonl")
    result, failure, config, metrics = (modified(folder / name) for name in names)
    heard = max(config, metrics, modified(folder.with_name(f"log-{folder.name}.txt")))
    seconds = 0.0
    if result and result >= since:
        status, note, seconds = outcome(folder, result)
    elif failure and failure >= max(since, config):
        status, note = "failed", error_of(folder / "failure.json", failure)
    elif not heard or heard < since:
        return RunStatus(folder)
    else:
        silent = now - heard > SILENT
        status, note = ("silent", f"for {duration(now - heard)}") if silent else ("running", "")
    step, trained, latest = latest_metrics(folder / "metrics.jsonl", metrics)
    max_steps = planned_steps(folder / "config.yaml", config)
    return RunStatus(folder, status, note, seconds or trained, step, max_steps, latest)


def modified(path: Path) -> float:
    """When a file was last written, in seconds since the epoch; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(4096)
def outcome(folder: Path, written: float) -> tuple[str, str, float]:
    """Status of a run with a result, what is wrong with the result, and how many seconds the run took."""
    try:
        record = read_result(folder)
        seconds = datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])
        return "finished", "", seconds.total_seconds()
    except (FileNotFoundError, ValueError):
        return "unreadable", f"{folder / 'result.json'}: delete it and run it again", 0.0


@lru_cache(4096)
def error_of(path: Path, written: float) -> str:
    """The last line of the recorded error, and where the output of the run is."""
    try:
        record = read_failure(path.parent)
        return f"{record['error'].strip().splitlines()[-1].strip()}; see {record['log']}"
    except (FileNotFoundError, ValueError, IndexError):
        return f"for reasons that {path} does not hold"


@lru_cache(4096)
def planned_steps(config: Path, written: float) -> int:
    """How many steps the run is to take; 0 where its configuration does not hold a number."""
    try:
        return int(yaml.safe_load(config.read_text(encoding="utf-8"))["trainer"]["max_steps"])
    except Exception:  # YAML raises many kinds, and the view lacks no more than this number
        return 0


@lru_cache(4096)
def latest_metrics(path: Path, written: float) -> tuple[int, float, Mapping[str, float]]:
    """Last step, seconds of training, latest value of each metric; broken and half-written lines are skipped."""
    step, seconds, latest = 0, 0.0, dict[str, float]()
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        lines = []
    for line in lines:
        try:
            row: History = checked(line, History)
        except ValueError:
            continue
        latest[row["metric"]] = row["value"]
        step, seconds = row["step"], row["seconds"]
    return step, seconds, latest


def times_left(runs: Sequence[RunStatus]) -> dict[Path, float | None]:
    """Seconds left of each run that is not over, from how long similar ones took; None where that is not known yet.

    Where no similar run is finished, those in training are extrapolated from their steps.
    """
    usual: dict[tuple[str, ...], float] = {}
    in_training = [(run, run.seconds / run.share) for run in runs if run.status == "running" and run.share]
    for known in (in_training, [(run, run.seconds) for run in runs if run.status == "finished"]):
        groups: dict[tuple[str, ...], list[float]] = {}
        for run, seconds in known:
            for kind in run.kinds:
                groups.setdefault(kind, []).append(seconds)
        usual |= {kind: sum(each) / len(each) for kind, each in groups.items()}
    left: dict[Path, float | None] = {}
    for run in runs:
        if run.status in UNFINISHED:
            total = next((usual[kind] for kind in run.kinds if kind in usual), None)
            spent = (total or 0.0) * run.share if run.share < 1 else run.seconds  # trained, but not yet evaluated
            left[run.folder] = None if total is None else max(0.0, total - spent)
    return left


def view(suite: Path, now: float, height: int | None = None) -> Group:
    """Counts and time left of a suite over a table of its runs, of which as many are shown as fit into `height`."""
    runs, problems = read_suite(suite, now)
    left = times_left(runs)
    counts = {status: sum(run.status == status for run in runs) for status in STYLES}
    words = [f"{suite.name}: {counts['finished']} of {len(runs)} finished"]
    words += [f"{count} {status}" for status, count in counts.items() if count and status != "finished"]
    known = [seconds for seconds in left.values() if seconds is not None]
    if left and len(known) == len(left):
        words.append(f"about {duration(max(sum(known) / max(1, counts['running']), *known))} left")
    elif left:
        words.append("time left not known yet")
    ranked = sorted(runs, key=lambda run: list(STYLES).index(run.status))
    notes = [f"{name_of(run)}: {run.note}" for run in ranked if run.status in ("failed", "unreadable")]
    room = len(ranked) if height is None else max(0, height - len(notes) - len(problems) - 3)
    rows = [cells(run, left.get(run.folder)) for run in ranked[:room]]
    names = ("run", "status", "step", "train/loss", "validation", "time")
    kept = [i for i in range(len(names)) if i < 2 or any(row[i].plain for row in rows)]
    table = Table(*(Column(names[i], no_wrap=i > 0) for i in kept), box=None, pad_edge=False, header_style="dim")
    for row in rows:
        table.add_row(*(row[i] for i in kept))
    more = [f"and {len(ranked) - room} more runs"] if len(ranked) > room else []
    below = (one_line(text, "yellow") for text in [*more, *notes, *problems])
    return Group(one_line(", ".join(words), "bold"), table, *below)


def name_of(run: RunStatus) -> str:
    experiment, task, model, variant, seed = run.folder.parts[-5:]
    name = f"{model}{'' if variant == 'base' else f'-{variant}'} {seed} {task}"
    return f"{name}, inspection" if experiment == "inspection" else name


def cells(run: RunStatus, left: float | None) -> list[Text]:
    score = next((name for name in SCORES if name in run.latest), "")
    texts = [
        f"{run.step:,}{f' of {run.max_steps:,}' if run.max_steps else ''}" if run.step else "",
        f"{run.latest['train/loss']:.4g}" if "train/loss" in run.latest else "",
        f"{score.removeprefix('val/')} {run.latest[score]:.4g}" if score else "",
        duration(run.seconds) if run.status == "finished" else "" if left is None else f"{duration(left)} left",
    ]
    status = f"silent {run.note}" if run.status == "silent" else run.status
    return [one_line(name_of(run)), one_line(status, STYLES[run.status]), *map(one_line, texts)]


def one_line(text: str, style: str = "") -> Text:
    """Text without what a terminal would obey, cut where there is no room."""
    return Text(visible(text), style, no_wrap=True, overflow="ellipsis")


def duration(seconds: float) -> str:
    """As precise as an estimate."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def follow(suite: Path, console: Console) -> None:
    """Show the suite on the whole screen until Ctrl-C is pressed."""
    with suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(view(suite, time.time(), console.height), refresh=True)
            time.sleep(REFRESH)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.watch",
        description="Show the progress of a suite and the time left, again every two seconds until Ctrl-C is "
        "pressed, or once where there is no terminal. Files are only read: it may start and end at any time.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all suites (default: runs)")
    options = parser.parse_args(arguments)
    suite, console = options.runs / options.suite, Console(highlight=False)
    if not options.suite or not suite.is_dir():
        present = sorted(path.name for path in options.runs.glob("*") if path.is_dir())
        sys.exit(
            f"There is no suite {options.suite!r} in {options.runs} (there: {visible(', '.join(present)) or 'none'}); "
            "start one first, for example with `make quick`."
        )
    if sys.stdin.isatty() and sys.stdout.isatty() and not console.is_dumb_terminal:
        follow(suite, console)
    console.print(view(suite, time.time()))


if __name__ == "__main__":
    main()
