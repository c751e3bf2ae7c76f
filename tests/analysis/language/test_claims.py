from pathlib import Path

import pytest

from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict, judged
from analysis.language.claims import all_claims, combined
from analysis.page.curves import Point
from analysis.statistics.intervals import Interval
from analysis.store import read_store
from tests.support.fakes.language import write_characters, write_stories
from tests.support.fakes.runs import write_run

Three = tuple[float, float, float]  # LSTM, LSTM with attention, Transformer
MODELS = ("lstm", "bahdanau", "transformer")


def named(values: Three) -> dict[str, float]:
    return dict(zip(MODELS, values, strict=True))


def test_quantities_are_combined_as_if_independent_until_all_seeds_are_held() -> None:
    point = Point(1, Interval(1.0, 0.7, 1.4), {0: 1.0}, 100)
    assert combined((1, point), (-1, point)) == pytest.approx((0, -0.5, 0.5))
    apart = Point(1, Interval(1.0, 0.7, 1.4), {0: 0.2, 1: 1.8}, 100)
    assert combined((1, apart), (-1, apart)) == pytest.approx((0, -1.6, 1.6))


def verdicts(root: Path) -> list[Verdict]:
    """Of the two claims on one text."""
    return [verdict for _, verdict in judged(all_claims(read_store(root, "quick"))[:2])]


@pytest.mark.parametrize(
    ("known", "stops", "close"),
    [
        ((0.3, 0.9, 0.95), SUPPORTED, SUPPORTED),
        ((0.3, 0.4, 0.95), SUPPORTED, CONTRADICTED),
        ((0.9, 0.9, 0.92), CONTRADICTED, CANNOT_TELL),  # all remember: there is no lead to make up
        ((0.2, 0.2, 0.2), CANNOT_TELL, CANNOT_TELL),  # none has learned to look back
        ((0.3, 0.62, 0.95), SUPPORTED, NOT_DECIDED),  # half of the lead, as far as one can tell
        ((0.92, 0.9, 0.3), CONTRADICTED, CANNOT_TELL),
    ],
)
def test_stories_are_judged_by_what_was_said_longest_ago(known: Three, stops: str, close: str, tmp_path: Path) -> None:
    write_stories(tmp_path, named(known))
    assert [verdict.outcome for verdict in verdicts(tmp_path)] == [stops, close]


@pytest.mark.parametrize(
    ("gains", "losses", "stops", "close"),
    [
        ((0.01, 0.05, 0.08), (1.8, 1.6, 1.55), SUPPORTED, SUPPORTED),
        ((0.08, 0.05, 0.08), (1.8, 1.78, 1.5), CONTRADICTED, CONTRADICTED),
        ((0.01, 0.01, 0.01), (1.5, 1.6, 1.6), CANNOT_TELL, CANNOT_TELL),
    ],
)
def test_characters_are_judged_by_gain_and_loss(
    gains: Three, losses: Three, stops: str, close: str, tmp_path: Path
) -> None:
    write_characters(tmp_path, named(gains), named(losses))
    assert [verdict.outcome for verdict in verdicts(tmp_path)] == [stops, close]


def test_who_has_not_learned_to_look_back_at_all_is_not_judged(tmp_path: Path) -> None:
    write_stories(tmp_path, named((0.13, 0.9, 0.95)), near=0.2)
    for verdict, name in zip(verdicts(tmp_path), ("LSTM", "LSTM + attention"), strict=True):
        assert verdict.outcome == CANNOT_TELL
        assert f"the {name}'s share of right answers to what was said within 8 words is 0.2" in verdict.reason


@pytest.mark.parametrize(
    ("losses", "seeds", "expected"),
    [
        ((1.6, 1.55, 1.5), 3, SUPPORTED),
        ((1.5, 1.5, 1.6), 3, CONTRADICTED),
        ((1.52, 1.5, 1.5), 3, NOT_DECIDED),
        ((1.6, 1.55, 1.5), 2, CANNOT_TELL),
    ],
)
def test_who_reaches_the_lower_loss(losses: Three, seeds: int, expected: str, tmp_path: Path) -> None:
    for seed in range(seeds):
        write_characters(tmp_path, named((0.1, 0.1, 0.1)), named(losses), seed)
    assert [v.outcome for c, v in judged(all_claims(read_store(tmp_path, "quick"))) if "lower loss" in c.text] == [
        expected
    ]


def test_a_seed_that_disagrees_leaves_a_claim_open(tmp_path: Path) -> None:
    write_stories(tmp_path, named((0.3, 0.9, 0.95)))
    write_stories(tmp_path, named((0.93, 0.9, 0.95)), seed=1)
    assert verdicts(tmp_path)[0].outcome == NOT_DECIDED


def test_what_was_not_run_is_not_tested(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm")
    assert [verdict.tested for verdict in verdicts(tmp_path)] == [False, False]
    write_stories(tmp_path, {"lstm": 0.3, "transformer": 0.9})
    assert [(v.outcome, v.tested) for v in verdicts(tmp_path)] == [(SUPPORTED, True), (NOT_DECIDED, False)]
