"""Make the report of one suite from its runs: `python -m analysis.report --suite quick`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import provenance, scoreboard
from analysis.claims import ledger
from analysis.claims.verdict import judged
from analysis.compare import published
from analysis.language import claims as language_claims
from analysis.language import evidence as language_evidence
from analysis.language import section as language_section
from analysis.long_range import answer as long_range_answer
from analysis.long_range import axes, mechanisms, transfer
from analysis.long_range import claims as long_range_claims
from analysis.long_range import section as long_range_section
from analysis.long_range.evidence import Evidence
from analysis.page.blocks import Answers, Group, Legend, LegendEntry, Notice, Page, Section
from analysis.page.labels import MODELS, counted, label, slug
from analysis.page.latex import latex
from analysis.page.look import Look
from analysis.page.render import write, write_page
from analysis.page.tuning import build as tuning
from analysis.speed import answer as speed_answer
from analysis.speed import claims as speed_claims
from analysis.speed import runs as speed_runs
from analysis.speed import section as speed_section
from analysis.speed.quality import qualities
from analysis.store import Store, System, read_store
from analysis.translation import answer as translation_answer
from analysis.translation import attention, bleu, examples, learning_curves, sentences
from analysis.translation import claims as translation_claims
from experiments.record.archives import RECORDS
from experiments.record.system_errors import ending_in_a_sentence
from experiments.record.text import visible

OTHER_MACHINE = {"full": "gpu", "gpu": "full"}
TITLE = "Recurrence against attention"
SMOKE = "This is the smoke suite: it runs every code path for a few steps. Its report has no meaningful numbers."


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Read the runs of a suite, and the records in RESULTS of those that RUNS does not have; write the "
        "report, its tables, its figures and all measurements.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where to write (default: results)")
    parser.add_argument("--png", action="store_true", help="write every figure as PNG too")
    options = parser.parse_args(arguments)
    records = options.results / options.suite / RECORDS
    try:
        store = read_store(options.runs, options.suite, records)
        others = times_elsewhere(options.runs, options.results, options.suite)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(visible(str(error)))
    archived = sum(not run.folder.is_relative_to(options.runs) for run in store.runs)
    if archived:
        print(f"{archived} of {len(store.runs)} runs are records of {records}")
    with ending_in_a_sentence():
        for path in write_report(store, options.results / options.suite, others, png=options.png):
            print(path)


def times_elsewhere(root: Path, results: Path, suite: str) -> list[Store]:
    """The speed runs of the suite for the other kind of machine, which the report shows next to its own."""
    other = OTHER_MACHINE.get(suite)
    if other is None:
        return []
    try:
        return [read_store(root, other, results / other / RECORDS, speed_runs.EXPERIMENT)]
    except FileNotFoundError:
        return []


def write_report(store: Store, folder: Path, others: Sequence[Store] = (), *, png: bool = False) -> list[Path]:
    """Write the report and return what a reader opens first."""
    page = build(store, others)
    tables = {
        "measurements.csv": store.measurements.to_csv(index=False),
        "provenance.json": provenance.as_json(store),
        "tables.tex": latex(f"{TITLE}: {store.suite}", page.sections),
    }
    write_page(folder, "report", page, png=png)
    write(folder, tables)
    return [folder / name for name in ("report.html", "report.md", "tables.tex", "measurements.csv")]


def build(store: Store, others: Sequence[Store] = ()) -> Page:
    """Five screens, then an appendix by question; provenance comes last because reading files may find problems.

    `others` have times of another kind of machine.
    """
    look = Look(run.system for run in store.runs if run.experiment != speed_runs.EXPERIMENT)
    speeds = speed_runs.places([store, *others])
    own, quality = speed_runs.with_operations(speeds), qualities(store)
    results = bleu.measure(store)
    timed = any(each.ran(speed_runs.EXPERIMENT) for each in (store, *others))
    groups = {
        "Translation": translation(store, look, results),
        "Long range": long_range_sections(store, look),
        "Language models": language_section.build(store, look) if store.ran(language_evidence.EXPERIMENT) else [],
        "Speed": [speed_section.build(store, each, quality if each is own else []) for each in speeds] if timed else [],
    }
    answers = [translation_answer.answer(store, look, results), long_range_answer.answer(store, look)]
    opening = Section("answers", "", [Answers([*answers, speed_answer.answer(store, speeds)])], short="Answers")
    screens = [opening, *attention.screen(store, look)]
    questions = (bleu.EXPERIMENT, speed_runs.EXPERIMENT, axes.EXPERIMENT, language_evidence.EXPERIMENT)
    if any(map(store.ran, questions)):
        parts = [
            (long_range_claims.READING, judged(long_range_claims.all_claims(Evidence(store)))),
            (transfer.READING, judged(transfer.all_claims(store))),
            (translation_claims.READING, judged(translation_claims.all_claims(store))),
            (language_claims.READING, judged(language_claims.all_claims(store))),
            (speed_claims.READING, judged(speed_claims.all_claims(speeds, quality))),
        ]
        screens.append(ledger.build(store, parts, [section for group in groups.values() for section in group]))
    board = scoreboard.build(store, results, speeds)
    screens += [*([board] if board else []), provenance.method(store, models(look))]
    groups["Runs"] = [*tuning(store), *provenance.build(store)]
    problems = [provenance.incomplete(store)]
    if store.problems:
        number = counted(len(set(store.problems)), "file", "files")
        problems.append(f"{number} could not be used, or contradict a recorded number.")
    if any(problems):
        opening.blocks.append(Notice(" ".join(filter(None, [*problems, "The section Runs has their names."]))))
    if store.suite == "smoke":
        opening.blocks.insert(0, Notice(SMOKE))
    appendix = [Group(slug("appendix", title), title, sections) for title, sections in groups.items() if sections]
    elsewhere = [f"times {speed.place} from SUITE={speed.store.suite}" for speed in speeds if speed.store is not store]
    return Page(TITLE, store.suite, " · ".join([provenance.facts(store), *elsewhere]), screens, appendix)


def translation(store: Store, look: Look, results: list[bleu.TestSet]) -> list[Section]:
    found: list[Section] = []
    look = look.among(run.system for run in store.finished(bleu.EXPERIMENT))
    if store.ran(bleu.EXPERIMENT):
        found += [bleu.build(store, look, results), learning_curves.build(store, look)]
        found += [*sentences.build(store, look, results), *examples.build(store)]
    return [*found, *attention.build(store, look), *published.build(store)]


def long_range_sections(store: Store, look: Look) -> list[Section]:
    if not store.ran(axes.EXPERIMENT):
        return []
    return [*long_range_section.build(store, look), *transfer.sections(store), *mechanisms.build(store, look)]


def models(look: Look) -> Legend:
    """Every model in a sentence, with the colour and the marker that it has in every figure."""
    entries = []
    for model in reversed(list(dict.fromkeys(system.model for system in look.systems))):
        base = System(model, "base")
        sentence = MODELS[model]["sentence"] if model in MODELS else "A model of your own."
        entries.append(LegendEntry(label(base), look.colour(base), look.marker(base), sentence))
    return Legend(entries)


if __name__ == "__main__":
    main()
