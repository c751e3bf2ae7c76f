"""Translation quality: BLEU with intervals, BLEU by source length, size and cost."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Section, Table
from analysis.page.canvas import Figure
from analysis.page.labels import NONE, decimal, label, ordered, shortest, span, whole, with_span
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.statistics.bleu import bleu_interval, bleu_of, sentence_statistics
from analysis.statistics.intervals import FEW, Array, Interval, t_interval
from analysis.store import Run, Store, System, by_system, number
from analysis.translation.figures import Bin, bin_names, by_bin
from analysis.translation.pairs import Pair, adjusted, pair_table, pairs_of
from experiments.record.languages import CHARACTERS

EXPERIMENT = "bleu"
ROUNDING = 0.05  # BLEU; a larger gap between the recorded score and its hypotheses is no matter of rounding

Seeds = dict[int, Run]


@dataclass(frozen=True)
class Outcome:
    """One system on one test set: a BLEU per seed, the interval of their mean."""

    bleu: dict[int, float]
    interval: Interval

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.bleu.values())))


@dataclass(frozen=True)
class TestSet:
    """The results on one test set of one task."""

    __test__ = False  # not a test, whatever pytest makes of its name
    task: str
    name: str
    outcomes: dict[System, Outcome]
    pairs: Sequence[Pair] = ()


def measure(store: Store) -> list[TestSet]:
    """Score every test set of every task, in the order in which they were recorded."""
    results = []
    runs = store.finished(EXPERIMENT)
    for task in dict.fromkeys(run.task for run in runs):
        systems = systems_of(runs, task)
        rows = store.rows(EXPERIMENT, task=task, metric="bleu")
        found = {name: outcomes(store, systems, name) for name in dict.fromkeys(rows["x"])}
        pairs = []
        for name, of_set in found.items():
            scored = {system: {seed: systems[system][seed] for seed in out.bleu} for system, out in of_set.items()}
            pairs += pairs_of(store, scored, name)
        pairs = adjusted(pairs)
        for name, of_set in found.items():
            results.append(TestSet(task, name, of_set, [pair for pair in pairs if pair.test_set == name]))
    return results


def build(store: Store, look: Look, results: list[TestSet]) -> Section:
    section = Section("results", "Results", sources=behind(store, EXPERIMENT))
    runs = store.finished(EXPERIMENT)
    if not runs:
        section.blocks.append(Notice("No translation run has finished yet: there is nothing to compare."))
    for task in dict.fromkeys(run.task for run in runs):
        section.blocks.append(Heading(f"BLEU on {task}"))
        systems = systems_of(runs, task)
        of_task = [result for result in results if result.task == task]
        pairs = [pair for result in of_task for pair in result.pairs]
        section.blocks += [quality_table(store, systems, result) for result in of_task]
        section.blocks += [*remembered(systems, of_task), reading_help(systems)]
        section.blocks += [pair_table(pairs)] if pairs else []
        section.blocks.append(measures_table(systems, of_task))
        section.blocks.append(Heading("BLEU by source length"))
        section.blocks += by_length(store, look, systems, task)
        section.blocks.append(Heading("Size and cost"))
        section.blocks.append(cost_table(systems))
        section.blocks.append(selection_table(systems, [result.name for result in of_task]))
    return section


def systems_of(runs: Iterable[Run], task: str) -> dict[System, Seeds]:
    table = by_system(run for run in runs if run.task == task)
    return {system: dict(sorted(table[system].items())) for system in ordered(table)}


def outcomes(store: Store, systems: dict[System, Seeds], test_set: str) -> dict[System, Outcome]:
    found = {}
    for system, seeds in systems.items():
        bleu = {s: value for s, run in seeds.items() if not math.isnan(value := number(run, "bleu", test_set))}
        if bleu:
            interval = sentence_interval(store, [seeds[s] for s in bleu], test_set, list(bleu.values()))
            found[system] = Outcome(bleu, interval)
    return found


def sentence_interval(store: Store, runs: list[Run], test_set: str, recorded: list[float]) -> Interval:
    """The interval of the mean BLEU of these runs (seeds of one system); checks the recorded scores on the way."""
    statistics = []
    for run, value in zip(runs, recorded, strict=True):
        frame = store.translations(run, test_set)
        if frame is None:
            return Interval(float(np.mean(recorded)), math.nan, math.nan)
        tokeniser = store.tokeniser(run.task)
        statistics.append(sentence_statistics(tuple(frame["hypothesis"]), tuple(frame["reference"]), tokeniser))
        again = bleu_of(statistics[-1].sum(axis=0))
        if abs(again - value) > ROUNDING:
            store.problems.append(
                f"{run.name}: the recorded BLEU on {test_set} is {value:.2f}, "
                f"but its stored hypotheses score {again:.2f}; evaluate it again."
            )
    if len({len(s) for s in statistics}) > 1:
        return Interval(float(np.mean(recorded)), math.nan, math.nan)
    return bleu_interval(statistics)


def mean_of(runs: Iterable[Run], metric: str, x: str | None = None) -> float:
    """Mean over the runs that measured it; NaN if none did."""
    values = [value for run in runs if not math.isnan(value := number(run, metric, x))]
    return float(np.mean(values)) if values else math.nan


def quality_table(store: Store, systems: dict[System, Seeds], result: TestSet) -> Table:
    tokeniser = store.tokeniser(result.task)
    several = max(len(outcome.bleu) for outcome in result.outcomes.values()) > 1
    header = ["model", "BLEU, mean of seeds" if several else "BLEU", "95 % interval"]
    header += ["each seed", "t interval over seeds"] if several else []
    header += ["chrF"] if tokeniser == CHARACTERS else []
    rows = []
    for system, outcome in result.outcomes.items():
        row = [label(system), decimal(outcome.mean), span(outcome.interval)]
        if several:
            each = [f"{decimal(value)} ({seed})" for seed, value in outcome.bleu.items()]
            row += [", ".join(each), span(t_interval(list(outcome.bleu.values())))]
        if tokeniser == CHARACTERS:
            row.append(decimal(mean_of(systems[system].values(), "chrf", result.name)))
        rows.append(row)
    counts = store.rows(EXPERIMENT, task=result.task, metric="bleu")
    sentences = sorted({int(n) for n in counts.loc[counts["x"] == result.name, "n"]})
    caption = f"BLEU on {result.name}, {' or '.join(whole(n) for n in sentences)} sentences, tokeniser {tokeniser}."
    if tokeniser == CHARACTERS:
        caption += f" {PROSE['BLEU of characters']}"
    return Table(caption, header, rows)


def remembered(systems: dict[System, Seeds], results: Iterable[TestSet]) -> list[Block]:
    """A notice for each test set of which some pairs were trained on."""
    blocks: list[Block] = []
    for result in results:
        counts = [mean_of(systems[system].values(), "also_trained_on", result.name) for system in result.outcomes]
        if (most := np.nanmax([0, *counts])) > 0:
            blocks.append(Notice(PROSE["trained on"].format(test_set=result.name, number=whole(most))))
    return blocks


def measures_table(systems: dict[System, Seeds], results: list[TestSet]) -> Table:
    header = ["model", "test set", "chrF", "tokenised BLEU", "torchtext BLEU", "length ratio", "truncated"]
    rows = []
    for result in results:
        for system in result.outcomes:
            runs = systems[system].values()
            row = [label(system), result.name]
            for metric, digits in (("chrf", 1), ("bleu_tokenised", 1), ("bleu_torchtext", 1), ("length_ratio", 2)):
                row.append(decimal(mean_of(runs, metric, result.name), digits))
            truncated = 100 * mean_of(runs, "truncated_share", result.name)
            row.append(NONE if math.isnan(truncated) else f"{truncated:.1f} %")
            rows.append(row)
    caption = "Other measures of the same translations, means over seeds; a length ratio below 1 costs BLEU."
    return Table(caption, header, rows, left=2)


def reading_help(systems: dict[System, Seeds]) -> Paragraph:
    seeds = "several seeds" if max(map(len, systems.values())) > 1 else "one seed"
    return Paragraph(f"{PROSE['intervals of BLEU']} {PROSE[seeds]}")


def by_length(store: Store, look: Look, systems: dict[System, Seeds], task: str) -> list[Block]:
    """A panel and a table for each test set."""
    rows = store.rows(EXPERIMENT, task=task, metric="bleu_by_length")
    figures: list[Figure] = []
    tables: list[Block] = []
    for x_name in dict.fromkeys(rows["x_name"]):
        unit, _, test_set = x_name.partition(", ")
        of_set = rows[rows["x_name"] == x_name]
        sizes = {int(low): int(n) for low, n in zip(of_set["x"], of_set["n"], strict=True)}
        bounds = sorted(sizes)
        bins = {name: sizes[low] for name, low in zip(bin_names(bounds), bounds, strict=True)}
        curves = {system: length_curve(store, of_set, seeds, test_set, unit) for system, seeds in systems.items()}
        curves = {system: curve for system, curve in curves.items() if curve}
        drawn = {s: {place: Bin(c[low]) for place, low in enumerate(bounds) if low in c} for s, c in curves.items()}
        name = f"length-{task}-{test_set}"
        figures.append(by_bin(name, test_set, look, drawn, bins, unit, "BLEU"))
        cells = [
            [
                f"{name} {unit.removeprefix('source ')}",
                whole(n),
                *(with_span(c[low], 1) if low in c else NONE for c in curves.values()),
            ]
            for low, (name, n) in zip(bounds, bins.items(), strict=True)
        ]
        caption = f"BLEU by source length on {test_set}, with 95 % intervals over sentences."
        tables.append(Table(caption, ["source length", "sentences", *(label(s) for s in curves)], cells))
    if not figures:
        return [Paragraph("BLEU by source length was not recorded by any finished run.")]
    return [Figures(PROSE["BLEU by length"], figures), *tables]


def length_unit(store: Store, task: str) -> str:
    """The unit of source lengths: words or, where the source language does not separate these, tokens of the model."""
    names = store.rows(EXPERIMENT, task=task, metric="bleu_by_length")["x_name"]
    return "source tokens" if names.str.startswith("source tokens").any() else "source words"


def lengths_in(unit: str, translations: pd.DataFrame) -> Array:
    """(N,) the length of each source in that unit, the end of the sentence not counted."""
    if unit == "source tokens":
        return translations["source_tokens"].to_numpy(dtype=np.float64) - 1
    return np.array([len(source.split()) for source in translations["source"]], dtype=np.float64)


def length_curve(store: Store, rows: pd.DataFrame, seeds: Seeds, test_set: str, unit: str) -> dict[int, Interval]:
    """Mean over seeds in each bin, with an interval where 10 stored sentences or more fill the bins as recorded."""
    run = next(iter(seeds.values()))
    mine = rows[(rows["model"] == run.model) & (rows["variant"] == run.variant)]
    frames = [store.translations(r, test_set) for r in seeds.values()]
    bounds = sorted({int(low) for low in mine["x"]})
    tokeniser, kept = store.tokeniser(run.task), [frame for frame in frames if frame is not None]
    statistics = [sentence_statistics(tuple(f["hypothesis"]), tuple(f["reference"]), tokeniser) for f in kept]
    lengths = [lengths_in(unit, frame) for frame in kept]
    curve = {}
    for low, high in zip(bounds, [*bounds[1:], math.inf], strict=True):
        of_bin = mine[mine["x"] == low]
        value = float(of_bin["value"].mean())
        chosen = [s[(n >= low) & (n < high)] for s, n in zip(statistics, lengths, strict=True)]
        recorded = set(of_bin["n"])
        if len(chosen) == len(seeds) and recorded == {len(c) for c in chosen} and min(recorded) >= FEW:
            curve[low] = bleu_interval(chosen)._replace(value=value)
        else:
            curve[low] = Interval(value, math.nan, math.nan)
    return curve


def cost_table(systems: dict[System, Seeds]) -> Table:
    header = ["model", "parameters", "without embeddings", "steps", "target tokens", "training time", "CPU threads"]
    counted = ("parameters", "parameters_without_embeddings", "steps", "target_tokens")
    rows = []
    for system, seeds in systems.items():
        counts = [whole(mean_of(seeds.values(), metric)) for metric in counted]
        cost = shortest(number(run, "train_seconds") for run in seeds.values())
        threads = dict.fromkeys(str(run.record["machine"].get("threads")) for run in seeds.values())
        rows.append([label(system), *counts, cost, " or ".join(sorted(threads, key=lambda n: (len(n), n)))])
    caption = (
        "Size of each model and cost of its training, means over seeds. Times are those of the fastest seed, which "
        "compare only on the same machine and threads; target tokens/s are in the section Speed."
    )
    return Table(caption, header, rows)


def selection_table(systems: dict[System, Seeds], test_sets: list[str]) -> Table:
    header = ["model", "best step", "validation loss", "validation BLEU", "without averaging"]
    header += [f"decoding {test_set}" for test_set in test_sets]
    rows = []
    for system, seeds in systems.items():
        runs = seeds.values()
        row = [label(system), whole(mean_of(runs, "best_step")), decimal(mean_of(runs, "val_loss"), 3)]
        row += [decimal(mean_of(runs, metric)) for metric in ("val_bleu", "val_bleu_unaveraged")]
        row += [shortest(number(run, "decode_seconds", test_set) for run in runs) for test_set in test_sets]
        rows.append(row)
    caption = (
        "The checkpoint tested, its score on the validation set, and the time to translate each test set, that of the "
        "fastest seed."
    )
    return Table(caption, header, rows)
