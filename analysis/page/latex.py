"""The report's tables for a paper, as one LaTeX document."""

import re
from collections.abc import Sequence

from analysis.page.blocks import Best, Claims, Section, Table
from experiments.record.text import visible

ESCAPES = {
    **{character: f"\\{character}" for character in "{}&%$#_"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "†": r"$\dagger$",
    "→": r"$\to$",
    "\N{NO-BREAK SPACE}": "~",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "²": "$^2$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
}
HEAD = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,longtable,pdflscape}
\usepackage[margin=1cm]{geometry}
\begin{document}\footnotesize\begin{landscape}"""


def latex(title: str, sections: Sequence[Section]) -> str:
    """All tables (booktabs, longtable), each labelled by its section and its place there."""
    parts = [HEAD, rf"\title{{{escaped(title)}}}\maketitle"]
    for section in sections:
        blocks = [block.table if isinstance(block, Claims) else block for block in section.blocks]
        tables = [block for block in blocks if isinstance(block, Table)]
        parts += [rf"\section*{{{escaped(section.title)}}}"] if tables else []
        parts += [one_table(table, f"tab:{section.identifier}-{n}") for n, table in enumerate(tables, start=1)]
    return "\n".join([*parts, r"\end{landscape}\end{document}", ""])


def one_table(table: Table, name: str) -> str:
    width = f"p{{{22 / table.left:.1f}cm}}" if table.wrap else "l"
    columns = width * table.left + "r" * (len(table.header) - table.left)
    header, *rows = (" & ".join(map(escaped, row)) + r" \\" for row in (table.header, *table.rows))
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{escaped(table.caption)}}} \label{{{name}}} \\",
            *(r"\toprule", header, r"\midrule", r"\endhead", *rows, r"\bottomrule", r"\end{longtable}"),
        ]
    )


def escaped(text: str) -> str:
    """Text as LaTeX that prints the same text; a best value is bold."""
    found = re.sub(r".", lambda each: ESCAPES.get(each[0], each[0]), visible(text), flags=re.DOTALL)
    return rf"\textbf{{{found}}}" if isinstance(text, Best) else found
