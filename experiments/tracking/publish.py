"""A finished run on Weights & Biases, made from the run's folder: numbers, curves, translations, attention.

Every measurement of result.json is one value of the summary, named `section/metric` or `section/metric/x_name/x`
(`experiments.record.wandb_names`), and equals it exactly. A metric measured at several numbers is also a plot, named
`section/metric/x_name`. Nothing here is a mean over runs: W&B would take it over a sample of the runs on the screen.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from numpy.typing import NDArray

from experiments.record import wandb_names
from experiments.record.keys import ATTENTION, KEY
from experiments.record.read import read_attention, read_result, read_translations
from experiments.record.text import visible
from experiments.record.wandb_names import is_companion, series_name, value_name

LOCK = Path(__file__).parents[2] / "requirements.lock"
TRANSLATION_ROWS = 50
TRANSLATION = ("id", "source", "reference", "hypothesis", "score")
CELL = 0.17  # inches of a token in a map

Record = Mapping[str, Any]


def send(run: Any, folder: Path) -> None:
    """Send everything of a finished run: code state first, final numbers last.

    Args:
        run: The W&B run.
        folder: The run's folder, with its result.json.
    """
    record = read_result(folder)
    if LOCK.exists():
        run.save(str(LOCK), base_path=str(LOCK.parent), policy="now")
    shown: dict[str, Any] = {name: chart(name, points) for name, points in curves(record).items()}
    if rows := translations(folder):
        columns: list[str | int] = ["test_set", "id", "source", "reference", "hypothesis", "score"]
        shown[wandb_names.TRANSLATIONS] = wandb.Table(columns=columns, data=rows)
    if pictures := attention(folder):
        shown[wandb_names.ATTENTION] = pictures
    if shown:
        run.log(shown)
    best = folder / "checkpoints" / "best.ckpt"
    if model_is_wanted() and best.exists():
        about = {name: record[name] for name in KEY}  # type: ignore[literal-required]
        artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=about)
        artifact.add_file(str(best))
        run.log_artifact(artifact, aliases=["best", "latest"])
    run.summary.update(numbers(record))


def model_is_wanted() -> bool:
    """Whether the best checkpoint is to be uploaded, a gigabyte at times: only where WANDB_LOG_MODEL asks for it.

    Raises:
        ValueError: If it asks for something else.
    """
    asked = os.environ.get("WANDB_LOG_MODEL", "false").lower()
    if asked not in ("true", "false", ""):
        raise ValueError(f"WANDB_LOG_MODEL is {asked!r}; choose true or false.")
    return asked == "true"


def numbers(record: Record) -> dict[str, float]:
    """Every measurement under its name."""
    experiment, task = record["experiment"], record["task"]
    rows = record["measurements"]
    return {value_name(experiment, task, row["metric"], row["x_name"], row["x"]): row["value"] for row in rows}


def curves(record: Record) -> dict[str, list[Any]]:
    """Points (x, value, n) of every metric that was measured at more than one number, in order of x."""
    found: dict[str, list[Any]] = {}
    for row in record["measurements"]:
        if isinstance(row["x"], int | float) and not is_companion(row["metric"]):
            name = series_name(record["experiment"], record["task"], row["metric"], row["x_name"])
            found.setdefault(name, []).append([row["x"], row["value"], row["n"]])
    return {name: sorted(points) for name, points in found.items() if len(points) > 1}


def chart(name: str, points: list[Any]) -> Any:
    metric, x_name = name.split("/")[-2:]
    table = wandb.Table(columns=["x", "value", "n"], data=points)
    return wandb.plot.line(table, "x", "value", title=f"{metric} by {x_name}")


def translations(folder: Path) -> list[Any]:
    """The first translations of every test set: a table for reading, not all that was translated."""
    return [
        [file.stem, *(row[column] for column in TRANSLATION)]  # type: ignore[literal-required]
        for file in sorted(folder.glob("hypotheses/*.jsonl"))
        for row in read_translations(file)[:TRANSLATION_ROWS]
    ]


def attention(folder: Path) -> list[wandb.Image]:
    """A picture for each sentence kept in attention.json, with the model's maps of the source next to each other.

    A language model has no source: its maps are of what it wrote before.
    """
    path = folder / ATTENTION
    drawn = {}
    for sentence in read_attention(path) if path.exists() else []:
        source, target = sentence["source_tokens"], sentence["target_tokens"]
        others = ("encoder", "decoder") if source else "encoder"
        if maps := {name: heads for name, heads in sentence["maps"].items() if not name.startswith(others)}:
            caption = f"{sentence['test_set']}, sentence {sentence['id']}"
            drawn[caption] = picture(source or ["<s>", *target[:-1]], target, maps)
    height, width = (max((image.shape[side] for image in drawn.values()), default=0) for side in (0, 1))
    return [wandb.Image(padded(image, height, width), caption=caption) for caption, image in drawn.items()]


def padded(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """White below and to the right: W&B wants the pictures of one key to have one size."""
    below, right = height - image.shape[0], width - image.shape[1]
    return np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=255)


# Of Chinese, Japanese and Korean, which matplotlib's own font lacks, on Linux, macOS and Windows
FONTS = {
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Arial Unicode MS",
    "Malgun Gothic",
}
FONTS |= {"Microsoft YaHei", "Hiragino Sans"}


def picture(
    source: Sequence[str], target: Sequence[str], maps: Mapping[str, Sequence[Sequence[Sequence[float]]]]
) -> NDArray[np.uint8]:
    """Maps (heads, T, S), each the mean over its heads: rows are target tokens, columns source tokens, black is 1."""
    source, target = ([visible(token) for token in tokens] for tokens in (source, target))
    fonts = sorted(FONTS & set(fontManager.get_font_names()))
    width, height = CELL * len(source) + 0.3, CELL * len(target) + 0.3
    figure = Figure(figsize=(len(maps) * width + 1.2, height + 1.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (name, heads) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        axes.imshow(np.mean(heads, axis=0), cmap="Greys", vmin=0, vmax=1, aspect="equal", interpolation="none")
        axes.set_title(f"{name}, mean over heads" if len(heads) > 1 else name, fontsize=8)
        text = {"fontsize": 7, "fontfamily": ["DejaVu Sans", *fonts], "parse_math": False}
        axes.set_xticks(range(len(source)), source, rotation=90, **text)
        axes.set_yticks(range(len(target)), target, **text)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        canvas.draw()
        if any("missing from font" in str(warning.message) for warning in said):
            figure.suptitle("□: no font installed here has this character; the report shows it", fontsize=7)
            canvas.draw()
    return np.asarray(canvas.buffer_rgba())
