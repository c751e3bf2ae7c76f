"""LaTeX that prints the same text, and provenance that another program can read."""

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from analysis.page.blocks import Best, FigureLink, Paragraph, Section, Table
from analysis.page.latex import escaped, latex, provenance
from analysis.store import read_store
from tests.support.fakes.runs import write_run

SPECIAL = r"\{}&%$#_~^"


@given(st.text(alphabet=st.sampled_from(f"{SPECIAL} abÄß−≤×"), max_size=30))
def test_nothing_special_is_left_unescaped(text: str) -> None:
    written = escaped(text)
    commands = r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\\[{}&%$#_]|\$[^$]*\$"
    assert not set(re.sub(commands, "", written)) & set(SPECIAL)


def test_a_table_keeps_its_cells_without_links_and_with_its_best_value() -> None:
    table = Table("50 % of_it.", ["model", "BLEU", "figure"], [["A & B", Best("38.6"), FigureLink("x")]])
    text = latex("T", [Section("results", "Results", [Paragraph("no table"), table])])
    assert r"A \& B & \textbf{38.6} \\" in text
    assert r"\caption{50 \% of\_it.} \label{tab:results-1}" in text
    assert "figure" not in text
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.rstrip().endswith(r"\end{document}")


def test_provenance_names_each_machine_and_commit_once(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_run(tmp_path, model, sentences=5, test_sets=("test",))
    write_run(tmp_path, "bahdanau", sentences=5, test_sets=("test",), changes={"machine": {"cpu": "another"}})
    facts = json.loads(provenance(read_store(tmp_path, "quick")))
    assert [machine["cpu"] for machine in facts["machines"]] == ["another", "made-up CPU"]
    assert facts["commits"] == ["1f2e3d4c5b6a79880123456789abcdef01234567"]
    assert facts["uncommitted_changes"] is False
