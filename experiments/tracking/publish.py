"""What Weights & Biases shows of a finished run, made from the run's folder: numbers, curves, translations, attention.

Every measurement of result.json is one value of the summary, named `section/metric` or `section/metric/x_name/x`, and
equals it exactly. The section is `train` for what training took, `val` for validation, `test` for translation,
`recall/TASK` for a long-range task and `speed/TASK` for speed (other experiments alike). A metric measured at several
numbers is also a plot, named `section/metric/x_name`. Nothing here is a mean over runs, and none is left to W&B, which
would take it over a sample of the runs on the screen.
"""

import os
import warnings
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.record.read import AGAIN, NUMBER, Types, check, read_list, read_result, read_rows
from experiments.record.text import visible

LOCK = Path(__file__).parents[2] / "requirements.lock"
TRANSLATIONS, TRANSLATION_ROWS = "test/translations", 50
ATTENTION = "test/attention"
TRAINING = (
    "parameters",
    "parameters_without_embeddings",
    "steps",
    "best_step",
    "target_tokens",
    "source_tokens",
    "train_seconds",
    "target_tokens_per_second",
)
COMPANIONS = ("_error", "_q25", "_q75")  # how sure another metric is: values of the summary, no plots of their own
TRANSLATION: Mapping[str, Types] = {"id": int, "source": str, "reference": str, "hypothesis": str, "score": NUMBER}
SENTENCE: Mapping[str, Types] = {
    "test_set": str,
    "id": int,
    "source_tokens": list,
    "target_tokens": list,
    "maps": dict,
}
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
        shown[TRANSLATIONS] = wandb.Table(columns=columns, data=rows)
    if pictures := attention(folder):
        shown[ATTENTION] = pictures
    if shown:
        run.log(shown)
    best = folder / "checkpoints" / "best.ckpt"
    if model_is_wanted() and best.exists():
        about = {name: record[name] for name in ("suite", "experiment", "task", "model", "variant", "seed")}
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


def section(experiment: str, task: str, metric: str) -> str:
    """The section of W&B's pages that a metric belongs to."""
    if experiment not in ("bleu", "long-range"):
        return f"{experiment}/{task}"
    if metric in TRAINING:
        return "train"
    if metric.startswith("val_"):
        return "val"
    return "test" if experiment == "bleu" else f"recall/{task}"


def named(record: Record, metric: str, *x: object) -> str:
    return "/".join([section(record["experiment"], record["task"], metric), metric, *map(str, x)])


def numbers(record: Record) -> dict[str, float]:
    """Every measurement under its name."""
    return {
        named(record, m["metric"], *((m["x_name"], m["x"]) if m["x_name"] else ())): m["value"]
        for m in record["measurements"]
    }


def curves(record: Record) -> dict[str, list[Any]]:
    """Points (x, value, n) of every metric that was measured at more than one number, in order of x."""
    found: dict[str, list[Any]] = {}
    for m in record["measurements"]:
        metric = m["metric"]
        extra = metric == "trained" or metric.startswith("chance") or metric.endswith(COMPANIONS)
        if isinstance(m["x"], int | float) and not extra:
            found.setdefault(named(record, metric, m["x_name"]), []).append([m["x"], m["value"], m["n"]])
    return {name: sorted(points) for name, points in found.items() if len(points) > 1}


def chart(name: str, points: list[Any]) -> Any:
    metric, x_name = name.split("/")[-2:]
    table = wandb.Table(columns=["x", "value", "n"], data=points)
    return wandb.plot.line(table, "x", "value", title=f"{metric} by {x_name}")


def translations(folder: Path) -> list[Any]:
    """The first translations of every test set: a table for reading, not all that was translated."""
    rows = []
    for file in sorted(folder.glob("hypotheses/*.jsonl")):
        for one in islice(read_rows(file, TRANSLATION), TRANSLATION_ROWS):
            rows.append([file.stem, *(one[column] for column in TRANSLATION)])
    return rows


def attention(folder: Path) -> list[wandb.Image]:
    """A picture for each sentence kept in attention.json, with the model's maps side by side."""
    path = folder / "attention.json"
    sentences = read_list(path) if path.exists() else []
    for number, sentence in enumerate(sentences):
        check_maps(path, f"sentence {number}: ", sentence)
    drawn = {
        f"{one['test_set']}, sentence {one['id']}": picture(one) for one in map(of_source, sentences) if one["maps"]
    }
    height, width = (max((image.shape[side] for image in drawn.values()), default=0) for side in (0, 1))
    return [wandb.Image(padded(image, height, width), caption=caption) for caption, image in drawn.items()]


def check_maps(path: Path, where: str, sentence: Any) -> None:
    """Maps are (heads, T, S), where they look at the source.

    Raises:
        ValueError: They are not.
    """
    check(path, where, sentence, SENTENCE)
    for name, heads in of_source(sentence)["maps"].items():
        try:
            shape = np.asarray(heads, dtype=np.float64).shape
        except (ValueError, TypeError, OverflowError):  # rows of different lengths, or words
            shape = ()
        if shape[1:] != (len(sentence["target_tokens"]), len(sentence["source_tokens"])) or not shape[0]:
            raise ValueError(f"{path} ({where}map {visible(name[:50])} does not fit its tokens): {AGAIN}.")


def of_source(sentence: Mapping[str, Any]) -> dict[str, Any]:
    """The sentence with those maps alone that look from the target at the source."""
    maps = {name: h for name, h in sentence["maps"].items() if name.partition(" ")[0] not in ("encoder", "decoder")}
    return {**sentence, "maps": maps}


def padded(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """White below and to the right: W&B wants the pictures of one key to have one size."""
    below, right = height - image.shape[0], width - image.shape[1]
    return np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=255)


def picture(sentence: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Maps (T, S), each the mean over its heads: rows are target tokens, columns source tokens, black is 1."""
    source, target = ([visible(token) for token in sentence[f"{side}_tokens"]] for side in ("source", "target"))
    maps = sentence["maps"]
    width, height = CELL * len(source) + 0.3, CELL * len(target) + 0.3
    figure = Figure(figsize=(len(maps) * width + 1.2, height + 1.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (name, heads) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        axes.imshow(np.mean(heads, axis=0), cmap="Greys", vmin=0, vmax=1, aspect="equal", interpolation="none")
        axes.set_title(f"{name}, mean over heads" if len(heads) > 1 else name, fontsize=8)
        axes.set_xticks(range(len(source)), source, rotation=90, fontsize=7, parse_math=False)
        axes.set_yticks(range(len(target)), target, fontsize=7, parse_math=False)
    with warnings.catch_warnings():
        # a character that the font lacks is an empty box
        warnings.filterwarnings("ignore", "Glyph .* missing from font|Matplotlib currently does not support")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())
