"""The report's tables for a paper, and where its numbers come from for another program."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.page.blocks import Best, FigureLink, Section, SectionLink, Table
from analysis.store import Store
from experiments.record.text import visible

SYMBOLS = {
    "−": "$-$",
    "–": "--",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "²": r"$^2$",
    "†": r"$\dagger$",
    "→": r"$\to$",
    "α": r"$\alpha$",
    "\N{NO-BREAK SPACE}": "~",
}


def latex(title: str, sections: Sequence[Section]) -> str:
    """All tables as one LaTeX document (booktabs, longtable), each labelled by its section and its place there."""
    parts = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{booktabs,longtable,pdflscape}",
        r"\usepackage[margin=1cm]{geometry}",
        r"\begin{document}\footnotesize\begin{landscape}",
        rf"\title{{{escaped(title)}}}\maketitle",
    ]
    for section in sections:
        tables = [block for block in section.blocks if isinstance(block, Table)]
        parts += [rf"\section*{{{escaped(section.title)}}}"] if tables else []
        parts += [one_table(table, f"tab:{section.identifier}-{n}") for n, table in enumerate(tables, start=1)]
    return "\n".join([*parts, r"\end{landscape}\end{document}", ""])


def one_table(table: Table, name: str) -> str:
    """A longtable; links inside the page have no place on paper and are left out."""
    kept = [i for i in range(len(table.header)) if not any(is_link(row[i]) for row in table.rows)]
    rows = [[escaped(row[i]) for i in kept] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[escaped(table.header[i]) for i in kept])
    width = f"p{{{22 / max(1, sum(i < table.left for i in kept)):.1f}cm}}" if table.wrap else "l"
    columns = "".join(width if i < table.left else "r" for i in kept)
    text: str = frame.to_latex(
        index=False, escape=False, longtable=True, column_format=columns, caption=escaped(table.caption), label=name
    )
    return text


def is_link(cell: str) -> bool:
    return isinstance(cell, FigureLink | SectionLink)


def escaped(text: str) -> str:
    """Text as LaTeX that prints the same text; a best value is bold."""
    is_best = isinstance(text, Best)
    text = re.sub(r"[\\{}]", lambda found: {"\\": r"\textbackslash{}"}.get(found[0], f"\\{found[0]}"), visible(text))
    text = re.sub(r"[&%$#_]", r"\\\g<0>", text)
    text = text.replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}")
    found = "".join(SYMBOLS.get(character, character) for character in text)
    return rf"\textbf{{{found}}}" if is_best else found


def provenance(store: Store) -> str:
    """Machines, commits and versions behind a report as JSON, so that two reports can be told apart."""
    done = [run.record for run in store.runs if run.status == "finished"]
    facts: dict[str, Any] = {
        "suite": store.suite,
        "machines": distinct(record["machine"] for record in done),
        "commits": sorted({str(record["git"].get("commit")) for record in done}),
        "uncommitted_changes": any(record["git"].get("dirty") for record in done),
        "versions": distinct(record["versions"] for record in done),
    }
    return json.dumps(facts, indent=1) + "\n"


def distinct(values: Iterable[Any]) -> list[Any]:
    return [json.loads(text) for text in dict.fromkeys(json.dumps(value, sort_keys=True) for value in values)]
