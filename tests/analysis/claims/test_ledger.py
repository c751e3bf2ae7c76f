"""The ledger: every claim can be supported, contradicted and left open; every row of the design has its claim."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.claims.evidence import (
    ABOVE,
    BELOW,
    CONTRADICTED,
    NOT_DECIDED,
    SUPPORTED,
    Claim,
    Condition,
    Evidence,
    Verdict,
    above,
    below,
    decided,
    within,
)
from analysis.claims.ledger import LEDGER, build, what_changes
from analysis.long_range import claims
from analysis.page.blocks import Anchor, FigureLink, Figures, Paragraph, Section, Table
from analysis.page.figures import Figure
from analysis.page.labels import NONE
from analysis.speed import claims as speed_claims
from analysis.statistics.intervals import Interval
from analysis.store import Store, read_store
from analysis.translation import claims as translation_claims
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import speed as fake_speed
from tests.support.fakes.ledger_cases import CASES
from tests.support.fakes.long_range import axis_rows, write_long_range
from tests.support.fakes.translations import write_heads

OUTCOMES = (SUPPORTED, CONTRADICTED, NOT_DECIDED)

# The claims of the design and the contrary evidence, as they open the claims of the ledger
DESIGN = {
    "RNNs forget: the first words fade as the sentence goes on": ["RNNs forget: "],
    "LSTMs help but do not solve it: one fixed vector must hold everything": ["One fixed vector must hold everything"],
    "Attention on top of the RNN fixes the accuracy, not the speed": [
        "Attention on top of the RNN fixes the accuracy",
        "Attention on top of the RNN improves its translations",
        "Attention on top of the RNN does not fix the speed",
    ],
    "The Transformer relates any two positions directly, distance is irrelevant": [
        "The Transformer relates any two positions directly, distance is irrelevant",
        "Beyond the gaps of training the Transformer fails as well",
    ],
    "RNN training is sequential: more length, more waiting; the Transformer does it in parallel": [
        "RNN training is sequential: more length, more waiting; the Transformer does it in parallel",
        "At decoding recurrence has the constant cost a token, the Transformer's grows",
    ],
    "Attention costs O(n²)": ["Attention costs O(n²)", "The LSTM does fewer operations than the Transformer"],
    "More GPUs, proportionally faster": ["More GPUs, proportionally faster", "More devices, proportionally faster"],
    "Without positions, “dog bites man” equals “man bites dog”": [
        "Without positions, “dog bites man” equals “man bites dog”",
        "Without positions, order is lost",
    ],
    "1/√d keeps softmax from saturating": ["1/√d keeps the softmax from saturating", "1/√d matters"],
    "Several heads see several relations": ["Several heads see several relations"],
    "Residual connections are a safety net": ["Residual connections are a safety net"],
    "The Transformer translates better": ["The Transformer translates better"],
    "The Transformer trains faster to the same quality": ["The Transformer trains faster to the same quality"],
    "LSTMs generalise on parity where Transformers do not": ["LSTMs generalise on parity where Transformers do not"],
    "no model copies far beyond its training length": ["No model copies far beyond its training length"],
    "RNN and Transformer are close on agreement in real language": ["RNN and Transformer are close on agreement"],
    "RNNs forget, against": ["A gap alone does not break the LSTM"],
}


def claims_of(store: Store, evidence: Evidence) -> list[Claim]:
    found = [*claims.all_claims(store), *translation_claims.all_claims(store)]
    return found + speed_claims.all_claims(evidence)


def ledger_of(store: Store) -> list[tuple[Claim, Verdict]]:
    evidence = Evidence(store)
    return [(claim, claims.judged(claim, evidence)) for claim in claims_of(store, evidence)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("everything")
    fake_long_range.write_everything(path, seeds=(0,))
    fake_speed.write_everything(path)
    write_long_range(path, "copy", "transformer", axis_rows({4: 1.0, 32: 0.3}, "length"), variant="no-residual-layers2")
    write_heads(path, [(0.8, 0.1), (0.7, 0.1)])
    return read_store(path, "quick")


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("nothing")
    write_long_range(path, "a-new-task", "lstm", axis_rows({4: 1.0}, "depth"))
    return read_store(path, "quick")


def test_every_claim_has_cases_for_all_outcomes(everything: Store) -> None:
    texts = [claim.text for claim in claims_of(everything, Evidence(everything))]
    assert len(texts) == len(set(texts))
    assert set(texts) == set(CASES)


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_measurements_decide_each_claim_either_way_or_leave_it_open(tmp_path: Path, text: str, outcome: str) -> None:
    CASES[text][OUTCOMES.index(outcome)](tmp_path)
    evidence = Evidence(read_store(tmp_path, "quick"))
    claim = next(claim for claim in claims_of(evidence.store, evidence) if claim.text == text)
    verdict = claims.judged(claim, evidence)
    assert verdict.outcome == outcome, verdict
    assert verdict.tested
    assert verdict.effect is not None
    said = what_changes(verdict)
    openings = {SUPPORTED: "Not decided if ", CONTRADICTED: "Not decided if ", NOT_DECIDED: "Supported if "}
    assert said.startswith(openings[outcome])
    assert said.endswith(".")


@pytest.mark.parametrize("row", DESIGN)
def test_every_row_of_the_design_has_a_claim_whatever_was_run(row: str, everything: Store, nothing: Store) -> None:
    for store in (everything, nothing):
        texts = [claim.text for claim in claims_of(store, Evidence(store))]
        for opening in DESIGN[row]:
            assert any(text.startswith(opening) for text in texts), opening


def test_every_claim_belongs_to_a_row_of_the_design(everything: Store) -> None:
    openings = tuple(opening for row in DESIGN.values() for opening in row)
    texts = [claim.text for claim in claims_of(everything, Evidence(everything))]
    assert [text for text in texts if not text.startswith(openings)] == []


def test_without_measurements_every_claim_is_open_and_says_what_is_missing(nothing: Store) -> None:
    for claim, verdict in ledger_of(nothing):
        assert (verdict.outcome, verdict.tested, verdict.effect) == (NOT_DECIDED, False, None), claim.text
        assert verdict.reason.startswith("not run: ")
        assert what_changes(verdict)


def section_of(store: Store, before: list[Section]) -> Section:
    evidence = Evidence(store)
    return build(
        store,
        before,
        long_range=claims.verdicts(store, evidence),
        translation=translation_claims.verdicts(store, evidence),
        speed=speed_claims.verdicts(evidence),
    )


def drawn(*names: str) -> Section:
    """A section with figures of these names."""
    return Section("drawn", "Drawn", [Figures("", [Figure(name, "", "", "", b"") for name in names])])


def test_the_ledger_shows_verdict_effect_figure_rule_and_what_would_change_it(everything: Store) -> None:
    positions = "token_accuracy-copy-length-transformer-position-encodings"
    section = section_of(everything, [drawn("speed-decoding-length-greedy", positions, "attention-heads-multi30k")])
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [table.header for table in tables[:2]] == [LEDGER, LEDGER]
    shown = {cells[0]: dict(zip(table.header, cells, strict=True)) for table in tables for cells in table.rows}
    rules = {name for name in shown if isinstance(name, Anchor)}
    assert set(shown) - rules == set(CASES)
    decoding = shown["At decoding recurrence has the constant cost a token, the Transformer's grows"]
    assert decoding["verdict"] == SUPPORTED
    assert isinstance(decoding["figure"], FigureLink)
    assert shown["Without positions, “dog bites man” equals “man bites dog”"]["figure"] == positions
    assert shown["Several heads see several relations (in translation)"]["figure"] == "attention-heads-multi30k"
    assert shown["Attention costs O(n²): time (Transformer)"]["figure"] == NONE
    number, _, line = decoding["rule"].partition(". ")
    assert line.startswith("Supported if its interval lies above 1.2 and the LSTM's below 1.2; contradicted if")
    assert number in rules
    assert shown[number]["in full"].startswith("Effect: the Transformer's latency a token")
    assert shown[number]["told by"] == "Katharopoulos et al. 2020"
    assert decoding["what would change the verdict"] == (
        "Not decided if the growth of the Transformer (2.978 to 3.162) reached down to 1.2 or that of the LSTM (0.970 "
        "to 1.030) reached up to 1.2; contradicted if the growth of the Transformer lay below 1.2 or that of the LSTM "
        "lay above 1.2."
    )
    vector = shown["One fixed vector must hold everything: the LSTM alone fails as copies grow"]
    assert vector["rule"].endswith(". Supported if its interval lies above 0.05, contradicted if below.")
    gpus = shown["More GPUs, proportionally faster: weak scaling"]
    assert "figure" not in gpus
    assert gpus["why"].startswith("not run: no GPUs")


def test_the_ledger_counts_what_was_tested_and_what_was_not(nothing: Store) -> None:
    section = section_of(nothing, [])
    texts = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    number = len(ledger_of(nothing))
    assert len(texts) == 1  # no word on how margins were fixed where nothing was tested
    assert texts[0].startswith(
        f"Of {number} claims: 0 supported, 0 contradicted, 0 not decided and {number} not tested by this suite."
    )
    table, rules = (block for block in section.blocks if isinstance(block, Table))
    assert len(table.rows) == number
    numbers = {row[-1].partition(". ")[0] for row in table.rows}
    assert numbers == {row[0] for row in rules.rows}


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (
            above(Interval(0.6, 0.5, 0.7), 0.05, ""),
            "Not decided if the interval (0.500 to 0.700) reached down to 0.05; contradicted if it lay below 0.05.",
        ),
        (
            above(Interval(0.0, -0.01, 0.01), 0.05, ""),
            "Not decided if the interval (−0.010 to 0.010) reached up to 0.05; supported if it lay above 0.05.",
        ),
        (
            below(Interval(0.05, 0.04, 0.06), 0.05, ""),
            "Supported if the interval (0.040 to 0.060) lay below 0.05; contradicted if it lay above 0.05.",
        ),
        (
            within(Interval(0.0, -0.01, 0.01), 0.05, ""),
            "Not decided if the interval (−0.010 to 0.010) reached up to 0.05 or reached down to −0.05; contradicted "
            "if it lay above 0.05 or lay below −0.05.",
        ),
        (
            within(Interval(0.2, 0.1, 0.3), 0.05, ""),
            "Not decided if the interval (0.100 to 0.300) reached down to 0.05; supported if it lay below 0.05.",
        ),
        (
            decided("", Interval(4, 4, 4), Condition("the ratio", Interval(4, 4, 4), BELOW, 0.5, 0.9)),
            "Not decided if the ratio (4.000) reached down to 0.9; supported if it lay below 0.5.",
        ),
        (
            decided("", Interval(1, 1, 1), Condition("the change", Interval(0.1, 0.1, 0.1), ABOVE, 0.2, math.nan)),
            "Supported if the change (0.100) lay above 0.2.",
        ),
        (
            above(Interval(1, math.nan, math.nan), 0.05, ""),
            "Supported if the interval (unknown) lay above 0.05; contradicted if it lay below 0.05.",
        ),
        (Verdict(NOT_DECIDED, "", needed="A longer budget."), "A longer budget."),
    ],
)
def test_what_would_change_a_verdict_is_said_with_the_numbers_of_its_rule(verdict: Verdict, said: str) -> None:
    assert what_changes(verdict) == said


@given(
    st.sampled_from([above, below, within]),
    st.floats(-1, 1),
    st.floats(0, 1),
    st.floats(-1, 1),
)
def test_a_verdict_changes_as_said(rule: Any, low: float, width: float, shift: float) -> None:
    """An interval that is moved keeps its verdict until it reaches a line of the rule."""
    before, after = (rule(Interval(x, x, x + width), 0.3, "") for x in (low, low + shift))
    lines = {condition.line for condition in before.conditions}
    ends = sorted((low, low + shift))
    swept = [line for line in lines if ends[0] <= line <= ends[1] + width]
    if before.outcome != after.outcome:
        assert swept
