"""Reports, comparisons and the view of a suite while it runs, with whole run stores to begin from."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO
from unittest.mock import patch

from matplotlib.backends.backend_svg import FigureCanvasSVG
from rich.console import Console

from analysis import provenance, report
from analysis.compare import __main__ as compare
from analysis.store import read_store
from analysis.watch import read_suite, view
from tests.support.fakes import counts as fake_counts
from tests.support.fakes import inspection as fake_inspection
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import runs as fake_runs
from tests.support.fakes import speed as fake_speed
from tests.support.fakes import watched as fake_watched
from tests.support.fuzz.target import STORE, Target, tried

ROOT = Path(__file__).parents[3]


def prepare_translations(folder: Path) -> None:
    fake_runs.write_suite(folder / "runs", sentences=6, test_sets=("test",))
    for model in ("lstm", "transformer"):
        fake_inspection.write_inspection(folder / "runs", model)
        fake_counts.write_counts(folder / "runs", model)


def prepare_long_range(folder: Path) -> None:
    fake_long_range.write_task(folder / "runs", "copy")
    fake_long_range.write_task(folder / "runs", "recall")
    fake_long_range.write_pairs(folder / "runs")


def prepare_speed(folder: Path) -> None:
    for model in ("lstm", "transformer"):
        fake_speed.write_length(folder / "runs", model, fake_speed.STEP[model])
        fake_speed.write_decoding(folder / "runs", model, lambda n: 1e-3 + 1e-5 * n)
        fake_speed.write_devices(folder / "runs", model, 0.9, 0.7)


def read_report(folder: Path) -> Sequence[str]:
    store = read_store(folder / "runs", "quick")
    report.write_report(store, folder / "results" / "quick")
    return store.problems


@contextmanager
def empty_pictures() -> Iterator[None]:
    """Drawing takes most of a report's time."""

    def leave_empty(canvas: FigureCanvasSVG, to: IO[str]) -> None:
        to.write("<svg></svg>")

    with patch.object(FigureCanvasSVG, "print_svg", leave_empty), patch("analysis.page.canvas.fit"):
        yield


def read_numbers(folder: Path) -> Sequence[str]:
    with empty_pictures():
        return read_report(folder)


def prepare_pictures(folder: Path) -> None:
    fake_runs.write_suite(folder / "runs", sentences=4, test_sets=("test",))
    fake_inspection.write_inspection(folder / "runs", "bahdanau")
    for model in ("lstm", "transformer"):
        curve = fake_long_range.axis_rows(fake_long_range.FALLING, "gap, symbols 4")
        rows = curve + fake_long_range.gradient_rows(0.5)
        fake_long_range.write_long_range(folder / "runs", "recall", model, rows)


def prepare_watched(folder: Path) -> None:
    suite = folder / "runs" / "quick"
    runs = [fake_watched.folder_of(suite, model) for model in ("lstm", "gru", "rnn", "transformer", "bahdanau")]
    for run in runs[:4]:
        fake_watched.begin(run, fake_watched.NOW - 100, fake_watched.training(range(1, 300, 20)))
    fake_watched.finish(runs[0], fake_watched.NOW - 50)
    fake_watched.fail(runs[1], fake_watched.NOW - 40)
    fake_watched.write(runs[2].with_name("log-seed0.txt"), "interrupted\n", fake_watched.NOW - 10)
    fake_watched.plan(suite, runs, fake_watched.NOW - 200)


def read_watched(folder: Path) -> Sequence[str]:
    suite = folder / "runs" / "quick"
    Console(file=StringIO(), width=100).print(view(suite, fake_watched.NOW, 40))
    runs, problems = read_suite(suite, fake_watched.NOW)
    return [*problems, *(run.note for run in runs if run.status == "unreadable")]


def prepare_sides(folder: Path) -> None:
    for name, error in (("a", 0.1), ("b", 0.3)):
        for model in ("lstm", "transformer"):
            fake_runs.write_run(folder / "runs", model, suite=name, sentences=4, test_sets=("test",), error=error)
        store = read_store(folder / "runs", name)
        (folder / name).mkdir()
        store.measurements.to_csv(folder / name / "measurements.csv", index=False)
        (folder / name / "provenance.json").write_text(provenance.as_json(store), encoding="utf-8")
    (folder / "paper.csv").write_text("model,metric,value,x\nlstm,bleu,30.5,test\ntransformer,bleu,33,test\n")
    shutil.copy(ROOT / "analysis" / "compare" / "published.csv", folder)


def read_sides(folder: Path) -> Sequence[str]:
    def compared(a: str, b: str) -> None:
        compare.main(["--a", str(folder / a), "--b", str(folder / b), "--to", str(folder / "out")])

    return tried(lambda: compared("a", "b"), lambda: compared("a", "paper.csv"), lambda: compared("runs/a", "b"))


ANALYSIS = [
    Target("translations report", prepare_translations, STORE, read_numbers),
    Target("long-range report", prepare_long_range, STORE, read_numbers),
    Target("speed report", prepare_speed, STORE, read_numbers),
    Target("pictures", prepare_pictures, STORE, read_report),
    Target("watch", prepare_watched, [*STORE, "**/config.yaml", "**/log-*"], read_watched),
    Target("compare", prepare_sides, ["*/measurements.csv", "*/provenance.json", "*.csv"], read_sides),
]
