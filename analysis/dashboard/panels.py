"""The W&B panels of a suite: for each task what its runs have sent, one line or bar a run, coloured by model.

A curve was sent by every run as a plot, a final number as a value of its summary; both are found by their names, which
follow from the measurements. No panel averages: W&B would do so over the sample of runs that it shows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import wandb_workspaces.reports.v2 as wr
from pandas.api.types import is_number

from analysis.page.look import Look
from analysis.store import Run, Store
from experiments.record.wandb_names import ATTENTION, TRANSLATIONS, group, is_companion, run_id, series_name, value_name

HEADLINES = ("bleu", "chrf", "control_accuracy", "contrastive_accuracy", "loss", "target_tokens_per_second")
LEARNING = {"bleu": ("val/bleu", "val/loss", "train/loss"), "long-range": ("val/control_accuracy", "val/loss")}
AXES = {"trainer/global_step": "step", "train/seconds": "training time (s)", "train/target_tokens": "target tokens"}
QUESTIONS = {
    "bleu": "Which translates better?",
    "long-range": "How far back can each remember?",
    "language": "What does each gain from a long context?",
    "speed": "How fast is each?",
    "inspection": "What do attention heads do?",
}
ACROSS, WIDTH, HEIGHT = 3, 8, 6  # panels side by side, and the size of one, in units of W&B's grid
MOST_RUNS = 100  # in one panel

Panel = Any  # the union of wandb_workspaces' panels has no public name


class Part(NamedTuple):
    """The panels of one task; `group` is the W&B group of its runs, `learning` are the panels of their training."""

    title: str
    group: str
    learning: list[Panel]
    panels: list[Panel]


def parts(store: Store) -> list[Part]:
    """One for each experiment and task with finished runs."""
    found = []
    runs = [run for run in store.runs if run.status == "finished"]
    for experiment, task in dict.fromkeys((run.experiment, run.task) for run in runs):
        rows = store.rows(experiment, task=task)
        here = [run for run in runs if (run.experiment, run.task) == (experiment, task)]
        question = QUESTIONS.get(experiment, f"{experiment}:")
        panels = [*bars(rows), *charts(rows), *kept(here)]
        runs_group = group(store.suite, experiment, task)
        found.append(Part(f"{question} {task}", runs_group, learning(experiment, here), arranged(panels)))
    return found


def learning(experiment: str, runs: Sequence[Run]) -> list[Panel]:
    """Quality over steps, seconds and tokens; none where nothing was trained."""
    if not any((run.folder / "metrics.jsonl").is_file() for run in runs):
        return []
    return arranged(
        [
            wr.LinePlot(
                title=f"{metric} by {words}",
                x=axis,
                y=[metric],
                title_x=words,
                title_y=metric,
                smoothing_type="none",
                max_runs_to_show=MOST_RUNS,
            )
            for metric in LEARNING.get(experiment, ("val/loss",))
            for axis, words in AXES.items()
        ]
    )


def bars(rows: pd.DataFrame) -> list[Panel]:
    """The final numbers that answer a question; all of them where a task has no curve."""
    drawn = along_numbers(rows)
    single = rows.drop(drawn.index)
    wanted = single[single["metric"].isin(HEADLINES)] if len(drawn) else single
    columns = wanted[["experiment", "task", "metric", "x_name", "x"]].itertuples(index=False)
    names = dict.fromkeys(value_name(*row) for row in columns if not is_companion(str(row.metric)))
    return [
        wr.BarPlot(title=one, metrics=[one], orientation="v", max_runs_to_show=MOST_RUNS, max_bars_to_show=MOST_RUNS)
        for one in names
    ]


def charts(rows: pd.DataFrame) -> list[Panel]:
    """Every metric over every axis along which it was measured: the plots that the runs have sent."""
    found = []
    for (metric, x_name), points in along_numbers(rows).groupby(["metric", "x_name"], sort=False):
        if points["x"].nunique() > 1 and not is_companion(str(metric)):
            plot = series_name(points["experiment"].iloc[0], points["task"].iloc[0], str(metric), str(x_name))
            found.append(
                wr.CustomChart(
                    query={"summaryTable": {"tableKey": f"{plot}_table"}},
                    chart_name="wandb/line/v0",
                    chart_fields={"x": "x", "y": "value"},
                    chart_strings={"title": f"{metric} by {x_name}"},
                )
            )
    return found


def along_numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """What was measured at a number, not at a name."""
    return rows[(rows["x_name"] != "") & rows["x"].map(is_number)]


def kept(runs: Sequence[Run]) -> list[Panel]:
    """What runs have kept to read and to look at."""
    found: list[Panel] = []
    if any((run.folder / "hypotheses").is_dir() for run in runs):
        found.append(wr.WeavePanelSummaryTable(table_name=TRANSLATIONS))
    if any((run.folder / "attention.json").is_file() for run in runs):
        found.append(wr.MediaBrowser(title="attention", media_keys=[ATTENTION], num_columns=2))
    return found


def arranged(panels: list[Panel]) -> list[Panel]:
    for number, panel in enumerate(panels):
        row, column = divmod(number, ACROSS)
        panel.layout = wr.Layout(x=column * WIDTH, y=row * HEIGHT, w=WIDTH, h=HEIGHT)
    return panels


def colours(store: Store) -> dict[str, str]:
    """The colour of every run's model, by the run's id: the same as in the local report."""
    look = Look(run.system for run in store.runs)
    return {run_id(run.key): look.colour(run.system) for run in store.runs if run.status == "finished"}
