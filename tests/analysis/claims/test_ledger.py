"""The ledger: every claim can be supported, contradicted and left open; every row of the design has its claim."""

import re
from pathlib import Path

import pytest

from analysis.claims.ledger import build, in_full, what_changes
from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, FACT, NOT_DECIDED, SUPPORTED, Claim, Verdict, judged
from analysis.long_range import claims as long_range
from analysis.page.blocks import ClaimRow, Claims, FigureLink, Figures, Section
from analysis.page.canvas import Figure
from analysis.page.labels import NONE
from analysis.store import Store, read_store
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import speed as fake_speed
from tests.support.fakes.ledger_cases import CASES, FACTS, POWERLESS, read_off
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
    read_off(1.0, 0.5, path)
    for task, variant in (("copy", "decoder-only"), ("inference", "encoder-only")):
        write_long_range(path, task, "transformer", axis_rows({4: 1.0, 32: 0.3}, "length"), variant=variant)
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
        assert claim.rule.lines
        assert bool(claim.rule.power) == (not claim.rule.fact) == (claim.text in CASES)
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
def test_mathematics_is_a_fact_where_the_implementation_bears_it_out(tmp_path: Path, text: str) -> None:
    for write, outcome in zip(FACTS[text], (FACT, CONTRADICTED), strict=True):
        write(tmp_path / outcome)
        _, verdict = judge(tmp_path / outcome, text)
        assert (verdict.outcome, verdict.tested) == (outcome, True)


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
    return build(store, [(reading, judged(claims)) for claims in claims_of(store).values()], before)


def drawn(*names: str) -> Section:
    """A section with figures of these names."""
    return Section("drawn", "Drawn", [Figures("", [Figure(name, "", "", "", b"") for name in names])])


def lists_of(section: Section) -> list[Claims]:
    return [block for block in section.blocks if isinstance(block, Claims)]


def test_a_claim_is_a_line_that_unfolds_to_its_rule_its_reason_and_what_would_change_it(everything: Store) -> None:
    positions = "token_accuracy-copy-length-transformer-position-encodings"
    blocks = lists_of(section_of(everything, [drawn("speed-decoding-length-beam5", positions)]))
    shown = {row.text: (row, dict(row.details)) for block in blocks for row in block.rows}
    _, against, facts, powerless, _ = blocks
    assert powerless.fold
    assert powerless.heading == f"Cannot tell here: {len(powerless.rows)} claims"
    assert {row.outcome for row in powerless.rows} == {CANNOT_TELL}
    assert set(shown) == set(CASES) | set(FACTS)
    assert {row.outcome for row in facts.rows} == {FACT}
    assert {claim.text for claim in all_claims(everything) if claim.contrary} >= {row.text for row in against.rows}
    decoding, details = shown["At decoding recurrence has the constant cost a token, the Transformer's grows"]
    assert (decoding.outcome, decoding.repeats) == (SUPPORTED, "3")
    assert isinstance(details["Figure"], FigureLink)
    assert shown["Without positions, “dog bites man” equals “man bites dog”"][1]["Figure"] == positions
    assert "Figure" not in shown["Attention costs O(n²): time (Transformer, narrow)"][1]
    assert details["Rule"].startswith("Effect: the Transformer's latency per token")
    assert details["Source of the claim"] == "Katharopoulos et al. 2020"

    gpus, details = shown["More GPUs, proportionally faster: weak scaling"]
    assert gpus in powerless.rows
    assert details["What would change the verdict"] == "A measurement in which the number of GPUs is at least 2."


def test_repeats_are_those_of_the_model_with_the_fewest(tmp_path: Path) -> None:
    for model, seeds in (("lstm", 3), ("bahdanau", 2)):
        for seed in range(seeds):
            write_long_range(tmp_path, "copy", model, axis_rows({4: 1.0, 32: 0.3}, "length"), seed=seed)
    blocks = lists_of(section_of(read_store(tmp_path, "quick"), []))
    text = "One fixed vector must hold everything: the LSTM alone fails as copies grow"
    (repeats,) = (row.repeats for block in blocks for row in block.rows if row.text == text)
    assert repeats == "2"


def test_what_was_not_run_is_folded_and_counted(nothing: Store) -> None:
    (untested,) = lists_of(section_of(nothing, []))
    assert untested.fold
    assert untested.heading == f"Not run: {len(all_claims(nothing))} claims"
    assert {(row.outcome, row.repeats) for row in untested.rows} == {("not run", NONE)}


def test_a_claim_made_of_several_things_is_said_once() -> None:
    """In the list, which people read from top to bottom; each keeps its whole text."""
    texts = ["It holds (copy)", "It holds (recall, 4 pairs)", "All is well", "It holds (copy)", "No (a) or (b)"]
    claims = Claims("", [ClaimRow(text, SUPPORTED, "", "", []) for text in texts])
    said = ["It holds (copy)", "… (recall, 4 pairs)", "All is well", "It holds (copy)", "No (a) or (b)"]
    assert [text for text, _ in claims.lines] == [row[0] for row in claims.table.rows] == said
    assert [row.text for _, row in claims.lines] == texts
