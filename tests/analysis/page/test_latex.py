"""LaTeX that prints the same text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.page.blocks import Best, Paragraph, Section, Table
from analysis.page.latex import escaped, latex
from tests.support.readme import ROOT

SPECIAL = r"\{}&%$#_~^"


@given(st.text(alphabet=st.sampled_from(f"{SPECIAL} abÄß−≤×"), max_size=30))
def test_nothing_special_is_left_unescaped(text: str) -> None:
    written = escaped(text)
    commands = r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\\[{}&%$#_]|\$[^$]*\$"
    assert not set(re.sub(commands, "", written)) & set(SPECIAL)


def test_a_table_keeps_its_cells_and_its_best_value() -> None:
    table = Table("50 % of_it.", ["model", "BLEU"], [["A & B", Best("38.6")]])
    text = latex("T", [Section("results", "Results", [Paragraph("no table"), table])])
    assert r"A \& B & \textbf{38.6} \\" in text
    assert r"\caption{50 \% of\_it.} \label{tab:results-1}" in text
    assert r"\begin{longtable}{lr}" in text
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.rstrip().endswith(r"\end{document}")


@pytest.mark.parametrize("suite", ["full", "gpu"])
def test_the_committed_tables_have_only_what_the_font_has(suite: str) -> None:
    text = re.sub("[“”„…–]", "", (ROOT / "results" / suite / "tables.tex").read_text())
    text.encode("latin-1")
