"""A suite in the terminal while it runs: `python -m analysis.watch.__main__ --suite quick`."""

import argparse
import math
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from analysis.watch.braille import curve
from analysis.watch.suite import Run, Suite
from experiments.record.text import visible

SECOND = 1.0
SILENT = 60.0  # seconds without a line after which that is pointed out
NARROW = 100  # columns below which curves stand below each other
CURVE_ROWS = 2
WATCHED = ("val/bleu", "val/control_accuracy", "val/token_accuracy", "val/loss")  # the first that is there is drawn
STYLES = {
    "finished": "green",
    "failed": "bold red",
    "unreadable": "bold red",
    "interrupted": "yellow",
    "running": "bold cyan",
    "waiting": "",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.watch.__main__",
        description="Show a suite while it runs: progress, time left, curves. It only reads, so it may start and end "
        "at any time; q or Ctrl-C quits. It ends by itself when everything planned is finished or failed.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--once", action="store_true", help="print one view and end, as is done without a terminal")
    options = parser.parse_args(arguments)
    folder = options.runs / options.suite
    if not options.suite or not folder.is_dir():
        present = sorted(path.name for path in options.runs.glob("*") if path.is_dir())
        sys.exit(
            f"There is no suite {options.suite!r} in {options.runs} (there: {visible(', '.join(present)) or 'none'}); "
            f"start one first, for example with `make bleu SUITE={options.suite or 'quick'}`."
        )
    suite, console = Suite(folder), Console(highlight=False)
    if options.once or not sys.stdout.isatty() or console.is_dumb_terminal:
        suite.look(time.time())
        console.print(frame(suite, time.time(), console.width))
    else:
        watch(suite, console)


def watch(suite: Suite, console: Console) -> None:
    """Show the suite every second until it is settled or somebody quits; the last view stays on the terminal."""
    try:
        with keyboard() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                now = time.time()
                suite.look(now)
                live.update(frame(suite, now, console.width, console.height, "q quits"), refresh=True)
                if suite.settled(now) or "q" in pressed(SECOND).lower():
                    break
    except KeyboardInterrupt:
        pass
    console.print(frame(suite, time.time(), console.width, console.height - 1))


@contextmanager
def keyboard() -> Iterator[Callable[[float], str]]:
    """A function that waits some seconds at most and returns what was typed meanwhile, without Enter."""
    if not sys.stdin.isatty():
        yield silence
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([terminal], [], [], seconds)
        return (os.read(terminal, 64).decode("utf-8", "ignore") or "q") if ready else ""  # nothing: it was closed

    tty.setcbreak(terminal)
    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def silence(seconds: float) -> str:
    """What is typed where there is no keyboard."""
    time.sleep(seconds)
    return ""


def frame(suite: Suite, now: float, width: int, height: int | None = None, hint: str = "") -> Group:
    """What there is to see, in lines of at most `width` characters and, if there is a height, as many as fit.

    Where they do not fit curves give way first, then finished runs, the earliest of them first.
    """
    top = heading(suite, now, width, hint)
    wrong = [line for run in suite.having("failed", "unreadable", "interrupted") for line in trouble(run)]
    for curves in (True, False):
        running = [line for run in suite.having("running") for line in progress(run, now, width, curves)]
        if height is None or len(top) + len(running) + len(wrong) + 1 <= height:
            break
    ended = sorted(suite.having("finished"), key=lambda run: run.ended, reverse=True)
    room = len(ended) if height is None else max(0, height - len(top) - len(running) - len(wrong))
    lines = [*top, *running, *wrong, *results(ended, room, width)]
    return Group(*lines[:height])


def heading(suite: Suite, now: float, width: int, hint: str) -> list[Text]:
    counts = {status: len(suite.having(status)) for status in STYLES}
    total = len(suite.runs)
    parts = [line(suite.folder.name, "bold")]
    if total == counts["waiting"]:
        parts.append(Text("waiting for the first run"))
    if total:
        parts.append(Text(f"{counts['finished']} of {total} finished"))
    parts += [Text(f"{n} {status}", STYLES[status]) for status, n in counts.items() if n and status != "finished"]
    if counts["running"] or counts["waiting"]:
        left = suite.time_left(now)
        parts.append(Text("time left not known yet" if left is None else f"about {duration(left)} left"))
    parts += [Text(hint, "dim")] if hint else []
    lines = packed(parts, width, indent=0)
    if total:
        done = round(counts["finished"] / total * (width - 1))
        lines.append(Text("█" * done + "░" * (width - 1 - done), "green"))
    if counts["interrupted"] and not counts["running"]:
        lines += packed([Text("interrupted: the same make command goes on where it stopped", "yellow")], width, 0)
    return lines + [line(problem, "yellow") for problem in suite.problems]


def progress(run: Run, now: float, width: int, curves: bool) -> list[Text]:
    """A run that goes on: where it is, its latest numbers, when it wrote last, its curves."""
    history, latest = run.history, run.history.latest
    silent = now - run.heard
    of = f" of {run.max_steps:,}" if run.max_steps else ""
    parts = [Text(f"step {history.step:,}{of}" if history.step else "no step recorded yet")]
    parts += [Text(f"{name} {number(latest[name])}") for name in ("train/loss", *WATCHED) if name in latest]
    if math.isfinite(history.tokens_per_second):
        parts.append(Text(f"{history.tokens_per_second:,.0f} tokens/s"))
    parts.append(
        Text(f"silent for {duration(silent)}", "yellow")
        if silent > SILENT
        else Text(f"last line {duration(silent)} ago")
    )
    if history.unreadable:
        parts.append(Text(f"lines not readable: {history.unreadable}", "yellow"))
    lines = [line(named(run, width), STYLES["running"]), *packed(parts, width)]
    return lines + (drawn(run, width) if curves else [])


def drawn(run: Run, width: int) -> list[Text]:
    """Validation metric and training loss against the step, beside each other where there is room."""
    curves = run.history.curves
    names = [next((name for name in WATCHED if name in curves), ""), "train/loss"]
    wide = width >= NARROW
    each = (width - 4) // 2 if wide else width - 2
    plots = [plot(name, curves[name], each) for name in names if name in curves]
    if wide and len(plots) == 2:
        plots = [[f"{left:<{each}}  {right}" for left, right in zip(*plots, strict=True)]]
    return [line(f"  {row}") for rows in plots for row in rows]


def plot(name: str, points: list[tuple[int, float]], width: int) -> list[str]:
    """A curve with its name, its steps and its largest and least value before it."""
    steps = f"step {points[0][0]:,} to {points[-1][0]:,}"
    finite = [value for _, value in points if math.isfinite(value)]
    bounds = [number(max(finite)), number(min(finite))] if finite else ["nan", "nan"]
    labels = [f"{text:<{max(len(name), len(steps))}}" for text in (name, steps)]
    before = [f"{label} {bound:>9} " for label, bound in zip(labels, bounds, strict=True)]
    rows = curve(points, max(8, width - len(before[0])), CURVE_ROWS) or [""] * CURVE_ROWS
    return [text + row for text, row in zip(before, rows, strict=True)]


def trouble(run: Run) -> list[Text]:
    lines = [line(f"{run.status}  {named(run)}", STYLES[run.status])]
    return lines + [line(f"  {text}") for text in (run.said, run.told_in) if text and run.status != "interrupted"]


def results(ended: list[Run], room: int, width: int) -> list[Text]:
    """One line a finished run, the latest first; the last line counts those that do not fit.

    In columns, and with durations, where the widest fit.
    """
    shown = ended if len(ended) <= room else ended[: max(0, room - 1)]
    said = max((len(run.said) for run in shown), default=0)
    names = max((len(named(run)) for run in shown), default=0)
    lines = []
    for run in shown:
        if names + said + 16 <= width:
            text = f"{named(run):<{names}}  {run.said:<{said}}  {duration(run.duration or 0.0):>10}"
        else:
            text = f"{named(run, max(12, width - 4 - len(run.said)))}  {run.said}"
        lines.append(line(f"  {text.rstrip()}"))
    if len(shown) < len(ended) and room:
        lines.append(line(f"  and {len(ended) - len(shown)} more finished", "dim"))
    return lines


def named(run: Run, width: int | None = None) -> str:
    """Task, model and seed; where there is no room for all, the task gives way."""
    system = f"{run.system} seed {run.seed}"
    room = len(run.task) if width is None else max(1, width - len(system) - 1)
    task = run.task if len(run.task) <= room else f"{run.task[: room - 1]}…"
    return f"{task} {system}"


def line(text: str, style: str = "") -> Text:
    """Text that is cut rather than wrapped, and that no terminal obeys."""
    return Text(visible(text), style, no_wrap=True, overflow="ellipsis")


def packed(parts: list[Text], width: int, indent: int = 2) -> list[Text]:
    """As many parts on a line as fit, two blanks between them."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 2 + part.cell_len <= width:
            lines[-1].append("  ").append_text(part)
        else:
            lines.append(line(" " * indent).append_text(part))
    return lines


def number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """As exact as an estimate deserves."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


if __name__ == "__main__":
    main()
