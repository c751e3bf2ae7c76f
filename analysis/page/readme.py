"""Write the README's tables of results from the committed measurements: `make readme`."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.page.labels import NAMES, counted, decimal, listing, whole
from experiments.record.metrics import MASTERED

RESULTS = Path("results/full")
MARKED = re.compile(r"(?<=<!-- results:begin -->\n).*?(?=<!-- results:end -->)", re.DOTALL)
BASES = {model: NAMES[model] for model in ("lstm", "bahdanau", "transformer")}
RECURRENT = {model: NAMES[model] for model in ("rnn", "gru")}
STACKS = {
    "transformer": "encoder and decoder",
    "transformer-prefix": "one stack, source from both sides",
    "transformer-decoder-only": "decoder-only",
    "transformer-encoder-only": "encoder-only",
}


class Row(NamedTuple):
    """A metric at some values of an axis, the last `beyond` of them longer than anything in training.

    `variant` is that of each model, and `guess` a strategy without memory, whose values the row's text ends with.
    """

    text: str
    task: str
    metric: str
    axis: str
    xs: tuple[str, ...]
    beyond: int = 0
    digits: int = 2
    scale: float = 1
    variant: str = ""
    guess: str = ""


class Question(NamedTuple):
    """A table with a column for each system, named by its model or in its own words."""

    text: str
    caption: str
    systems: Mapping[str, str]
    rows: list[Row]


MARKS = {
    " †": "under-trained, below 0.99 on an easy setting of its training",
    " ‡": "under-trained, and so shown after ten times the budget",
}
TEST_SETS = ("test2016", "test2017", "mscoco")
RIGHT, SAVED, CUT = "token_accuracy", "context_gain", "context, cut"
PAIRS, DISTANCE = "pairs, gap 0, keys 16", "distance, nouns 1, attractors 1"
QUESTIONS = [
    Question(
        "Which translates better?",
        "sacreBLEU on Multi30k, English to German, mixed case, beam 5",
        BASES,
        [
            *(Row(name, "multi30k-en-de", "bleu", "test_set", (name,), digits=1) for name in TEST_SETS),
            Row(
                "test2016, trained twice as long",
                "multi30k-en-de",
                "bleu",
                "test_set",
                ("test2016",),
                digits=1,
                variant="-doubled",
            ),
        ],
    ),
    Question(
        "How far back, and how much?",
        "Accuracy of models of 165,000 to 197,000 parameters; *italics*: longer than in training",
        RECURRENT | BASES,
        [
            Row("Recall after a gap of 256 / *512*", "recall", RIGHT, "gap, symbols 4", ("256", "512"), 1),
            Row("Copy 16 / 32 / *64* symbols", "copy", RIGHT, "length", ("16", "32", "64"), 1),
            Row("Reverse 16 / 32 / *64* symbols", "reverse", RIGHT, "length", ("16", "32", "64"), 1),
            Row("Look up one of 4 / 8 / *12* pairs", "associative-recall", RIGHT, PAIRS, ("4", "8", "12"), 1),
            Row("Agreement over 20 / *48* words", "agreement", RIGHT, DISTANCE, ("20", "48"), 1),
            Row("Parity of 20 / *200* bits", "parity", RIGHT, "length", ("20", "200"), 1),
        ],
    ),
    Question(
        "One stack or two?",
        "Transformers of equal size: BLEU, and accuracy",
        STACKS,
        [
            Row("BLEU on test2016", "multi30k-en-de", "bleu", "test_set", ("test2016",), digits=1),
            Row("Copy 32 / *64* symbols", "copy", RIGHT, "length", ("32", "64"), 1),
            Row("Look up one of 8 / *12* pairs", "associative-recall", RIGHT, PAIRS, ("8", "12"), 1),
            Row("Verb of a noun with two senses, clue before / after", "senses", RIGHT, "clue", ("-16", "16")),
            Row("… sense read off the noun's own state", "senses", "sense_probe", "clue", ("-16", "16")),
        ],
    ),
    Question(
        "Who gains from context?",
        "Language models of 800,000 parameters: loss on Shakespeare in nats per character, and how much of it "
        "characters more than 32 back save; in generated stories the share right of words asked for again, by how "
        "many words ago they were said",
        RECURRENT | BASES,
        [
            Row("Loss, contexts of 64 characters", "shakespeare", "loss", "", ("",)),
            Row("Saved beyond 32 of 64 characters", "shakespeare", SAVED, CUT, ("32",), digits=3),
            Row("Loss, contexts of 256 characters", "shakespeare-256", "loss", "", ("",)),
            Row("Saved beyond 32 of 256 characters", "shakespeare-256", SAVED, CUT, ("32",), digits=3),
            Row(
                "Stories, 1–8 / 17–32 / 65–128 words ago",
                "stories",
                RIGHT,
                "distance",
                ("8", "32", "128"),
                guess="guessing among what was said",
            ),
        ],
    ),
    Question(
        "How fast?",
        "Milliseconds for a training step on 2,048 target tokens, and to decode one more token of each of 16 "
        "sentences greedily, on two CPU threads in 32 bits",
        BASES,
        [
            Row(
                "Step at length 64 / 256 / 2048", "length", "step_seconds", "length", ("64", "256", "2048"), 0, 0, 1000
            ),
            Row(
                "Token at length 16 / 512", "decoding", "greedy_seconds_per_token", "length", ("16", "512"), 0, 1, 1000
            ),
            Row(
                "Target tokens/s on Multi30k, bare step",
                "text-multi30k-en-de",
                "target_tokens_per_second",
                "loop",
                ("bare",),
                0,
                0,
            ),
        ],
    ),
]

LENGTHS = ("16", "64", "256", "1024", "2048")
GPU = Question(
    "And on a GPU?",
    "Milliseconds for a training step on 16,384 target tokens in bf16",
    BASES,
    [Row(f"Step at length {' / '.join(LENGTHS)}", "length", "step_seconds", "length", LENGTHS, digits=1, scale=1000)],
)


def main() -> None:
    """Renew what is between the README's markers, and nothing else."""
    path = Path("README.md")
    text, written = path.read_text(encoding="utf-8"), tables(RESULTS)
    path.write_text(MARKED.sub(lambda _: written, text), encoding="utf-8")


def tables(results: Path) -> str:
    """A Markdown table for each question, and the machines behind them.

    Raises:
        ValueError: Nothing was measured for one of the rows.
    """
    known = measured_in(results)
    made = [table(known, asked) for asked in QUESTIONS]
    described = json.loads((results / "provenance.json").read_text(encoding="utf-8"))
    everywhere, timed = (named(described[key]) for key in ("machines", "speed_machines"))
    return "\n".join([*made, f"Trained on {everywhere}, timed on {timed}.", "", on_gpu(results.parent)])


def named(machines: Iterable[dict[str, Any]]) -> str:
    return listing([*dict.fromkeys(", ".join([f"{m['cores']} cores of {m['cpu']}", *m["gpus"]]) for m in machines)])


def on_gpu(results: Path) -> str:
    """Step times of `make gpu`."""
    known = measured_in(results / "gpu")
    gpus = json.loads((results / "gpu" / "provenance.json").read_text(encoding="utf-8"))["machines"][0]["gpus"]
    caption = f"{GPU.caption}, on one {gpus[0]} ([report](results/gpu/report.md), `make speed SUITE=gpu TASKS=length`)"
    return table(known, GPU._replace(caption=caption))


def measured_in(results: Path) -> pd.DataFrame:
    """Every measurement, its system as a suite names it: model, or model-variant."""
    known = pd.read_csv(results / "measurements.csv", dtype={"x": str})
    base = known.variant == "base"
    return known.fillna({"x_name": "", "x": ""}).assign(
        system=known.model.where(base, known.model + "-" + known.variant)
    )


def table(known: pd.DataFrame, asked: Question) -> str:
    tasks = {row.task for row in asked.rows}
    variants = dict.fromkeys(["", "-tenfold", *(row.variant for row in asked.rows)])
    systems = [f"{system}{variant}" for system in asked.systems for variant in variants]
    known = known[known.task.isin(tasks) & known.system.isin(systems)]
    caption = asked.caption
    seeds = known.groupby(["task", "system"]).seed.nunique()
    fewest = f"{seeds.min()} to " if seeds.min() < seeds.max() else ""
    if (known.experiment == "speed").all():
        known = known.groupby(["task", "system", "metric", "x_name", "x"])[["value"]].median().reset_index()
        caption += f"; medians of {fewest}{counted(seeds.max(), 'process', 'processes')}"
    else:
        caption += f"; {fewest}{counted(seeds.max(), 'seed', 'seeds')}"
    lines = []
    for row in asked.rows:
        measured = known[known.task == row.task]
        if not ((measured.metric == row.metric) & (measured.x_name == row.axis) & measured.x.isin(row.xs)).any():
            raise ValueError(f"{RESULTS} has no {row.metric} of {row.task} by {row.axis}")
        cells = [cell(measured, f"{system}{row.variant}", row) for system in asked.systems]
        text = row.text
        if row.guess:
            text += (
                f" (a guess: {cell(measured, next(iter(asked.systems)), row._replace(metric=f'chance: {row.guess}'))})"
            )
        lines.append([text, *cells])
    for mark, meaning in MARKS.items():
        if any(mark in found for line in lines for found in line):
            caption += f";{mark}: {meaning}"
    return markdown(asked.text, caption, [*asked.systems.values()], lines)


def markdown(text: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [["", *columns], ["---", *("---:" for _ in columns)], *rows]
    return "\n".join([f"**{text}** {caption}.", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def cell(measured: pd.DataFrame, system: str, row: Row) -> str:
    """Means over seeds, with a mark where a seed was under-trained, or where ten times the budget helped."""
    own, longer = (measured[measured.system == each] for each in (system, f"{system}-tenfold"))
    mark = ""
    if control(own) < MASTERED:
        own, mark = (longer, " ‡") if control(longer) >= MASTERED else (own, " †")
    values = []
    for x in row.xs:
        found = own[(own.metric == row.metric) & (own.x_name == row.axis) & (own.x == x)]
        value = row.scale * float(found.value.mean())
        values.append("–" if found.empty else decimal(value, row.digits) if row.digits else whole(value))
    if set(values) == {"–"}:
        return "–"
    trained = len(values) - row.beyond
    values = values[:trained] + [f"*{value}*" for value in values[trained:]]
    return " / ".join(values) + mark


def control(measured: pd.DataFrame) -> float:
    """Accuracy of the weakest seed on the control, NaN if there is none."""
    return float(measured[measured.metric == "control_accuracy"].value.min())


if __name__ == "__main__":
    main()
