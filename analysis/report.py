"""Make the report of one suite from its runs: `python -m analysis.report --suite quick`."""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analysis import (
    accuracy,
    bleu_section,
    claims,
    claims_section,
    curves_section,
    examples_section,
    long_range_section,
    memory_section,
    provenance_section,
    speed_claims,
    speed_measures,
    speed_section,
    tuning_section,
)
from analysis.blocks import Code, FigureLink, Figures, Notice, Section
from analysis.evidence import Evidence
from analysis.labels import Look, listing
from analysis.records import Store, read_store

TITLE = "Recurrence against attention"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Read the runs of a suite; write report.html, report.md, measurements.csv and figures/.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where to write (default: results)")
    options = parser.parse_args(arguments)
    try:
        store = read_store(options.runs, options.suite)
    except FileNotFoundError as error:
        sys.exit(str(error))
    for path in write_report(store, options.results / options.suite):
        print(path)


def write_report(store: Store, folder: Path) -> list[Path]:
    """Write the report and return what a reader opens first; everything is computed before anything is written."""
    summary, sections = build(store)
    figures = [
        f for section in sections for block in section.blocks if isinstance(block, Figures) for f in block.figures
    ]
    page = {"title": TITLE, "suite": store.suite, "summary": summary, "sections": sections}
    texts = {f"figures/{figure.name}.svg": figure.standalone for figure in figures}
    texts["measurements.csv"] = store.measurements.to_csv(index=False)
    texts["report.md"] = environment().get_template("report.md.jinja").render(page)
    texts["report.html"] = environment().get_template("report.html.jinja").render(page)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write(folder / name, text)
    return [folder / name for name in ("report.html", "report.md", "measurements.csv")]


def build(store: Store) -> tuple[str, list[Section]]:
    """The summary and all sections; provenance comes last because reading files may find problems."""
    look = Look(run.system for run in store.runs if run.experiment != speed_measures.EXPERIMENT)
    evidence = Evidence(store)
    experiments = {run.experiment for run in store.runs}
    summaries: list[str] = []
    sections: list[Section] = []
    if bleu_section.EXPERIMENT in experiments:
        results = bleu_section.measure(store)
        summaries.append(bleu_section.summary(store, results))
        sections += [bleu_section.build(store, look, results), curves_section.build(store, look)]
        sections += examples_section.build(store, look)
    verdicts: long_range_section.Verdicts = []
    speed_verdicts: long_range_section.Verdicts = []
    if speed_measures.EXPERIMENT in experiments:
        speed_verdicts = speed_claims.verdicts(evidence)
        summaries.append(speed_section.summary(store, evidence.speed))
        sections.append(speed_section.build(evidence.speed, evidence.qualities))
    if accuracy.EXPERIMENT in experiments:
        verdicts = claims.verdicts(store, evidence)
        summaries.append(long_range_section.summary(store, verdicts))
        sections += [*long_range_section.build(store, look, verdicts), *memory_section.build(store, look)]
    if verdicts or speed_verdicts:
        sections.append(claims_section.build(store, verdicts, sections, speed_verdicts))
    sections += tuning_section.build(store) if verdicts else []
    sections += provenance_section.build(store)
    unfinished = provenance_section.incomplete(store)
    if unfinished:
        sections[0].blocks.insert(0, Notice(f"{unfinished} The section Runs names them."))
    summary = " ".join(summaries) or f"The suite {store.suite} holds runs of {listing(sorted(experiments))} only."
    if store.suite == "smoke":
        summary = f"No meaningful numbers, this only shows that everything runs. {summary}"
        warning = (
            "This is the smoke suite: it runs every code path for a few steps. Its report has no meaningful numbers."
        )
        sections[0].blocks.insert(0, Notice(warning))
    return summary, sections


def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("analysis"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["markdown"] = markdown
    made.filters["inline"] = Markup
    made.tests["code"] = lambda text: isinstance(text, Code)
    made.tests["figure_link"] = lambda text: isinstance(text, FigureLink)
    return made


def markdown(text: str) -> str:
    """Text as Markdown that reads as the same text, also inside a table cell."""
    if isinstance(text, FigureLink):
        return f"[figure](figures/{text}.svg)"
    if isinstance(text, Code):
        return f"`{text}`".replace("|", r"\|")
    escaped = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", text)
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader never meets half of it."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)  # temporary files are private, a report is not
    os.replace(file.name, path)


if __name__ == "__main__":
    main()
