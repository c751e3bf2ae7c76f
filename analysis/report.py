"""Make the report of one suite from its runs: `python -m analysis.report --suite quick`."""

import argparse
import os
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analysis import provenance as provenance_section
from analysis import published_section, scoreboard
from analysis.claims import ledger as claims_section
from analysis.claims.verdict import judged
from analysis.long_range import claims
from analysis.long_range import evidence as accuracy
from analysis.long_range import mechanisms as memory_section
from analysis.long_range import section as long_range_section
from analysis.long_range import tuning as tuning_section
from analysis.page import latex as exports
from analysis.page import run_sources as tracing
from analysis.page.blocks import (
    Anchor,
    Best,
    Code,
    FigureLink,
    Figures,
    Legend,
    LegendEntry,
    Notice,
    Section,
    SectionLink,
    Source,
)
from analysis.page.figures import Figure
from analysis.page.labels import MARKER_PATHS, NAMES, ROUND, SENTENCES, Look, figure_name, listing
from analysis.speed import claims as speed_claims
from analysis.speed import runs as speed_measures
from analysis.speed import section as speed_section
from analysis.speed.quality import qualities
from analysis.store import Store, System, read_store
from analysis.translation import attention as attention_section
from analysis.translation import bleu as bleu_section
from analysis.translation import claims as translation_claims
from analysis.translation import examples as examples_section
from analysis.translation import heads
from analysis.translation import learning_curves as curves_section
from analysis.translation import sentences as differences_section
from experiments.record.text import visible

TITLE = "Recurrence against attention"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Read the runs of a suite; write the report, its tables, its figures and all measurements.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where to write (default: results)")
    options = parser.parse_args(arguments)
    try:
        store = read_store(options.runs, options.suite)
    except FileNotFoundError as error:
        sys.exit(visible(str(error)))
    for path in write_report(store, options.results / options.suite):
        print(path)


def write_report(store: Store, folder: Path) -> list[Path]:
    """Write the report and return what a reader opens first; everything is computed before anything is written."""
    summary, sections = build(store)
    page = {"title": TITLE, "suite": store.suite, "summary": summary, "sections": sections}
    files: dict[str, str | bytes] = {}
    for figure in figures_of(sections):
        files[f"figures/{figure.name}.svg"], files[f"figures/{figure.name}.png"] = figure.standalone, figure.png
    files["measurements.csv"] = store.measurements.to_csv(index=False)
    files["provenance.json"] = exports.provenance(store)
    files["tables.tex"] = exports.latex(f"{TITLE}: {store.suite}", sections)
    files["report.md"] = environment().get_template("report.md.jinja").render(page)
    files["report.html"] = environment().get_template("report.html.jinja").render(page)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write(folder / name, content)
    for left_over in (folder / "figures").iterdir():  # of an earlier report: nothing here speaks of it any more
        if f"figures/{left_over.name}" not in files:
            left_over.unlink()
    return [folder / name for name in ("report.html", "report.md", "tables.tex", "measurements.csv")]


def figures_of(sections: list[Section]) -> list[Figure]:
    blocks = [block for section in sections for block in section.blocks]
    return [figure for block in blocks if isinstance(block, Figures) for figure in block.figures]


def build(store: Store) -> tuple[str, list[Section]]:
    """The summary and all sections; provenance comes last because reading files may find problems."""
    look = Look(run.system for run in store.runs if run.experiment != speed_measures.EXPERIMENT)
    speed = speed_measures.measured(store)
    quality = qualities(store, speed)
    experiments = {run.experiment for run in store.runs}
    results: list[bleu_section.TestSet] = []
    verdicts = judged(claims.all_claims(accuracy.Evidence(store)))
    summaries: list[str] = []
    sections: list[Section] = []
    if bleu_section.EXPERIMENT in experiments:
        results = bleu_section.measure(store)
        summaries.append(bleu_section.summary(store, results))
        sections += [bleu_section.build(store, look, results), curves_section.build(store, look)]
        sections += differences_section.build(store, look, results)
        sections += [*examples_section.build(store), *attention_section.build(store, look)]
    if speed_measures.EXPERIMENT in experiments:
        summaries.append(speed_section.summary(store, speed))
        sections.append(speed_section.build(speed, quality))
    if accuracy.EXPERIMENT in experiments:
        summaries.append(long_range_section.summary(store, verdicts))
        sections += [*long_range_section.build(store, look, verdicts), *memory_section.build(store, look)]
    for section in sections:
        section.sources = behind(store, section.identifier)
    opening = [scoreboard.build(store, results, speed)]
    if experiments & {bleu_section.EXPERIMENT, speed_measures.EXPERIMENT, accuracy.EXPERIMENT}:
        parts = [
            (claims.READING, verdicts),
            (translation_claims.READING, judged(translation_claims.all_claims(store))),
            (speed_claims.READING, judged(speed_claims.all_claims(speed, quality))),
        ]
        opening.append(claims_section.build(parts, sections))
    sections = [*filter(None, opening), models(look), *sections, *published_section.build(store)]
    sections += tuning_section.build(store) if accuracy.EXPERIMENT in experiments else []
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


def behind(store: Store, identifier: str) -> list[Source]:
    """The runs that a section's numbers come from."""
    if identifier == "speed":
        return tracing.behind(store, speed_measures.EXPERIMENT)
    for task in accuracy.tasks_of(store):
        if identifier == figure_name("task", task):
            return tracing.behind(store, accuracy.EXPERIMENT, task)
    if identifier == "attention" and store.finished(heads.EXPERIMENT):
        return tracing.behind(store, heads.EXPERIMENT)
    experiment = accuracy.EXPERIMENT if identifier in ("memory", "long-range") else bleu_section.EXPERIMENT
    return tracing.behind(store, experiment)


def models(look: Look) -> Section:
    """Every model in a sentence, with the colour and the marker that it has in every figure."""
    bases = [System(model, "base") for model in dict.fromkeys(system.model for system in look.systems)]
    entries = [
        LegendEntry(
            NAMES.get(base.model, base.model),
            look.colour(base),
            look.marker(base),
            SENTENCES.get(base.model, "A model of your own."),
        )
        for base in bases
    ]
    return Section("models", "The models", [Legend(entries)])


def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("analysis.page"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["markdown"] = markdown
    made.filters["inline"] = Markup
    made.globals["markers"] = defaultdict(lambda: ROUND, MARKER_PATHS)
    made.filters["runs_of"] = tracing.of_cell
    for name, kind in (
        ("code", Code),
        ("figure_link", FigureLink),
        ("section_link", SectionLink),
        ("best", Best),
        ("anchor", Anchor),
    ):
        made.tests[name] = lambda text, kind=kind: isinstance(text, kind)
    return made


def harmless(value: Any) -> Any:
    """What a template prints, with controls spelt; line ends stay, they part the runs that a title lists."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(map(visible, value.split("\n")))


def markdown(text: str) -> str:
    """Text as Markdown that reads as the same text, also inside a table cell."""
    if isinstance(text, FigureLink):
        return f"[figure](figures/{text}.svg)"
    if isinstance(text, SectionLink):
        return f"section {text}"
    if isinstance(text, Code):
        return f"`{text.replace('`', 'ˋ')}`".replace("|", r"\|")
    escaped = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", visible(text))
    plain = " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return f"**{plain}**" if isinstance(text, Best) else plain


def write(path: Path, content: str | bytes) -> None:
    """Replace a file in one step, so that a reader never meets half of it."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
    os.chmod(file.name, 0o644)  # temporary files are private, a report is not
    os.replace(file.name, path)


if __name__ == "__main__":
    main()
