"""The ledger: every claim can be supported, contradicted and left open; every row of the design has its claim."""

import re
from pathlib import Path

import pytest

from analysis.claims.ledger import LEDGER, build, in_full, what_changes
from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, FACT, NOT_DECIDED, SUPPORTED, Claim, Verdict, judged
from analysis.long_range import claims as long_range
from analysis.page.blocks import Anchor, FigureLink, Figures, Paragraph, Section, Table
from analysis.page.canvas import Figure
from analysis.page.labels import NONE
from analysis.store import Store, read_store
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import speed as fake_speed
from tests.support.fakes.ledger_cases import CASES, FACTS, POWERLESS
from tests.support.fakes.long_range import axis_rows, write_long_range
from tests.support.fakes.translations import write_heads
from tests.support.verdicts import claims_of

OUTCOMES = (SUPPORTED, CONTRADICTED, NOT_DECIDED)


def all_claims(store: Store) -> list[Claim]:
    return [claim for claims in claims_of(store).values() for claim in claims]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("everything")
    fake_long_range.write_everything(path, seeds=(0,))
    fake_speed.write_everything(path)
    write_long_range(path, "copy", "transformer", axis_rows({4: 1.0, 32: 0.3}, "length"), variant="no-residual-layers2")
    write_long_range(path, "two-keys", "transformer", axis_rows({4: 1.0, 32: 0.3}, "length"), variant="heads1")
    fake_speed.repeat(path)
    write_heads(path, [(0.8, 0.1), (0.7, 0.1)])
    return read_store(path, "quick")


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("nothing")
    write_long_range(path, "a-new-task", "lstm", axis_rows({4: 1.0}, "depth"))
    return read_store(path, "quick")


def test_every_claim_has_cases_for_all_outcomes_and_a_rule_in_words(everything: Store) -> None:
    claims = all_claims(everything)
    texts = [claim.text for claim in claims]
    assert len(texts) == len(set(texts))
    assert set(texts) == set(CASES) | set(FACTS)
    assert set(CASES) == set(POWERLESS)
    for claim in claims:
        assert all((claim.source, claim.figure, claim.needs.experiment, claim.needs.task or claim.needs.metric))
        assert bool(claim.rule.power) == bool(claim.rule.lines) == (claim.text in CASES)
        rule = in_full(claim.rule)
        numbers = [f"{power.at:g}" for power in claim.rule.power]
        assert all(number in rule.partition("Can tell only where ")[2] for number in numbers)


def judge(path: Path, text: str) -> tuple[Claim, Verdict]:
    claim = next(claim for claim in all_claims(read_store(path, "quick")) if claim.text == text)
    return judged([claim])[0]


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_measurements_decide_each_claim_either_way_or_leave_it_open(tmp_path: Path, text: str, outcome: str) -> None:
    CASES[text][OUTCOMES.index(outcome)](tmp_path)
    _, verdict = judge(tmp_path, text)
    assert verdict.outcome == outcome, verdict
    assert verdict.tested
    assert verdict.effect is not None
    said = what_changes(verdict)
    openings = {SUPPORTED: "Not decided if ", CONTRADICTED: "Not decided if ", NOT_DECIDED: "Supported if "}
    assert said.startswith(openings[outcome])
    assert said.endswith(".")


@pytest.mark.parametrize("text", POWERLESS)
def test_measurements_that_could_not_show_it_cannot_tell(tmp_path: Path, text: str) -> None:
    """Each condition of a rule is missed by some case, which names it and says what could tell."""
    missed = set()
    for number, write in enumerate(POWERLESS[text]):
        write(tmp_path / str(number))
        claim, verdict = judge(tmp_path / str(number), text)
        assert (verdict.outcome, verdict.tested) == (CANNOT_TELL, True), verdict
        named = {power for power in claim.rule.power if str(power) in verdict.needed}
        assert len(named) == 1, verdict
        missed |= named
    assert missed == set(claim.rule.power)


@pytest.mark.parametrize("text", FACTS)
def test_what_is_mathematics_is_a_fact(tmp_path: Path, text: str) -> None:
    FACTS[text](tmp_path)
    _, verdict = judge(tmp_path, text)
    assert (verdict.outcome, verdict.tested, verdict.conditions) == (FACT, True, ())


def test_every_claim_has_its_row_whatever_was_run(everything: Store, nothing: Store) -> None:
    """All but the names of the tasks, variants and models that were run."""
    some, none = ({re.split(r" \(|: ", c.text)[0] for c in all_claims(store)} for store in (everything, nothing))
    assert none == some
    assert "RNN and Transformer are close on agreement (translation)" in [claim.text for claim in all_claims(nothing)]


def test_without_measurements_every_claim_is_open_and_says_what_is_missing(nothing: Store) -> None:
    for claim, verdict in judged(all_claims(nothing)):
        assert (verdict.outcome, verdict.tested, verdict.effect) == (NOT_DECIDED, False, None), claim.text
        assert verdict.reason.startswith("not run: ")
        assert what_changes(verdict)


def section_of(store: Store, before: list[Section]) -> Section:
    reading = f"How to read {long_range.READING}"
    return build([(reading, judged(claims)) for claims in claims_of(store).values()], before)


def drawn(*names: str) -> Section:
    """A section with figures of these names."""
    return Section("drawn", "Drawn", [Figures("", [Figure(name, "", "", "", b"") for name in names])])


def test_the_ledger_shows_verdict_effect_figure_rule_and_what_would_change_it(everything: Store) -> None:
    positions = "token_accuracy-copy-length-transformer-position-encodings"
    section = section_of(
        everything, [drawn("speed-decoding-length-beam5", positions, "attention-heads-multi30k", "score_entropy")]
    )
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [table.header for table in tables[:2]] == [LEDGER, LEDGER]
    shown = {cells[0]: dict(zip(table.header, cells, strict=True)) for table in tables for cells in table.rows}
    rules = {name for name in shown if isinstance(name, Anchor)}
    assert set(shown) - rules == set(CASES) | set(FACTS)
    decoding = shown["At decoding recurrence has the constant cost a token, the Transformer's grows"]
    assert decoding["verdict"] == SUPPORTED
    assert isinstance(decoding["figure"], FigureLink)
    assert shown["Without positions, “dog bites man” equals “man bites dog”"]["figure"] == positions
    assert shown["Several heads see several relations (in translation)"]["figure"] == "attention-heads-multi30k"
    assert shown["1/√d keeps the softmax from saturating (random queries and keys)"]["figure"] == "score_entropy"
    assert shown["Attention costs O(n²): time (Transformer)"]["figure"] == NONE
    number, _, line = decoding["rule"].partition(". ")
    assert line == (
        "Supported if the growth of the Transformer lies above 1.2 and that of the LSTM lies below 1.2; contradicted "
        "if the growth of the Transformer lies below 1.2 or that of the LSTM lies above 1.2."
    )
    assert number in rules
    assert shown[number]["in full"].startswith("Effect: the Transformer's latency per token")
    assert shown[number]["source"] == "Katharopoulos et al. 2020"
    assert decoding["what would change the verdict"] == (
        "Not decided if the growth of the Transformer (2.978 to 3.162) reached down to 1.2 or that of the LSTM (0.970 "
        "to 1.030) reached up to 1.2; contradicted if the growth of the Transformer lay below 1.2 or that of the LSTM "
        "lay above 1.2."
    )
    vector = shown["One fixed vector must hold everything: the LSTM alone fails as copies grow"]
    assert vector["rule"].endswith(". Supported if the interval lies above 0.05; contradicted if it lies below 0.05.")
    gpus = shown["More GPUs, proportionally faster: weak scaling"]
    assert gpus["verdict"] == CANNOT_TELL
    assert gpus["what would change the verdict"] == "A measurement in which the number of GPUs is at least 2."


def test_the_ledger_counts_what_was_tested_and_what_was_not(nothing: Store) -> None:
    section = section_of(nothing, [])
    texts = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    number = len(all_claims(nothing))
    assert len(texts) == 1  # no reading where nothing was tested
    assert texts[0].startswith(f"Of {number} claims: {number} not tested by this suite.")
    table, rules = (block for block in section.blocks if isinstance(block, Table))
    assert len(table.rows) == number
    numbers = {row[-1].partition(". ")[0] for row in table.rows}
    assert numbers == {row[0] for row in rules.rows}
