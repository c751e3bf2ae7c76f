"""Make the report of one suite from its runs: `python -m analysis.report --suite quick`."""

import argparse
import sys
from pathlib import Path

from analysis import provenance, published, scoreboard
from analysis.claims import ledger
from analysis.claims.verdict import judged
from analysis.long_range import claims as long_range_claims
from analysis.long_range import evidence, mechanisms
from analysis.long_range import section as long_range_section
from analysis.long_range.comparable import Evidence
from analysis.page.blocks import Legend, LegendEntry, Notice, Section
from analysis.page.labels import MODELS, label, listing
from analysis.page.latex import latex
from analysis.page.look import Look
from analysis.page.render import write, write_page
from analysis.page.tuning import build as tuning
from analysis.speed import claims as speed_claims
from analysis.speed import runs as speed_runs
from analysis.speed import section as speed_section
from analysis.speed.quality import qualities
from analysis.store import Store, System, read_store
from analysis.translation import attention, bleu, examples, learning_curves, sentences
from analysis.translation import claims as translation_claims
from experiments.record.archives import RECORDS
from experiments.record.text import visible

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
    except (FileNotFoundError, ValueError) as error:
        sys.exit(visible(str(error)))
    archived = sum(not run.folder.is_relative_to(options.runs) for run in store.runs)
    if archived:
        print(f"{archived} of {len(store.runs)} runs are records of {records}")
    for path in write_report(store, options.results / options.suite, png=options.png):
        print(path)


def write_report(store: Store, folder: Path, *, png: bool = False) -> list[Path]:
    """Write the report and return what a reader opens first."""
    summary, sections = build(store)
    tables = {
        "measurements.csv": store.measurements.to_csv(index=False),
        "provenance.json": provenance.as_json(store),
        "tables.tex": latex(f"{TITLE}: {store.suite}", sections),
    }
    write_page(folder, "report", TITLE, store.suite, summary, sections, png=png)
    write(folder, tables)
    return [folder / name for name in ("report.html", "report.md", "tables.tex", "measurements.csv")]


def build(store: Store) -> tuple[str, list[Section]]:
    """The summary and all sections; provenance comes last because reading files may find problems."""
    look = Look(run.system for run in store.runs if run.experiment != speed_runs.EXPERIMENT)
    speed = speed_runs.measured(store)
    quality = qualities(store, speed)
    experiments = {run.experiment for run in store.runs}
    results: list[bleu.TestSet] = []
    long_range = judged(long_range_claims.all_claims(Evidence(store)))
    summaries: list[str] = []
    sections: list[Section] = []
    if bleu.EXPERIMENT in experiments:
        results = bleu.measure(store)
        summaries.append(bleu.summary(store, results))
        sections += [bleu.build(store, look, results), learning_curves.build(store, look)]
        sections += sentences.build(store, look, results)
        sections += [*examples.build(store), *attention.build(store, look)]
    if speed_runs.EXPERIMENT in experiments:
        summaries.append(speed_section.summary(store, speed))
        sections.append(speed_section.build(store, speed, quality))
    if evidence.EXPERIMENT in experiments:
        summaries.append(long_range_section.summary(store, long_range))
        sections += [*long_range_section.build(store, look, long_range), *mechanisms.build(store, look)]
    opening = [scoreboard.build(store, results, speed)]
    if summaries:
        parts = [
            (long_range_claims.READING, long_range),
            (translation_claims.READING, judged(translation_claims.all_claims(store))),
            (speed_claims.READING, judged(speed_claims.all_claims(speed, quality))),
        ]
        opening.append(ledger.build(parts, sections))
    sections = [*filter(None, opening), models(look), *sections, *published.build(store)]
    sections += tuning(store)
    sections += provenance.build(store)
    unfinished = provenance.incomplete(store)
    if unfinished:
        sections[0].blocks.insert(0, Notice(f"{unfinished} The section Runs names them."))
    summary = " ".join(summaries) or f"The suite {store.suite} holds runs of {listing(sorted(experiments))} only."
    if store.suite == "smoke":
        summary = f"No meaningful numbers, this only shows that everything runs. {summary}"
        sections[0].blocks.insert(0, Notice(SMOKE))
    return summary, sections


def models(look: Look) -> Section:
    """Every model in a sentence, with the colour and the marker that it has in every figure."""
    entries = []
    for base in [System(model, "base") for model in dict.fromkeys(system.model for system in look.systems)]:
        sentence = MODELS[base.model]["sentence"] if base.model in MODELS else "A model of your own."
        entries.append(LegendEntry(label(base), look.colour(base), look.marker(base), sentence))
    return Section("models", "The models", [Legend(entries)])


if __name__ == "__main__":
    main()
