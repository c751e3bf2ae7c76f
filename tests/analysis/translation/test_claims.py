"""Rules of the claims about translation: differences of corpus BLEU, dissenting seeds, models that still rose."""

from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU

from analysis.claims.verdict import CONTRADICTED, LSTM, NOT_DECIDED, SUPPORTED, TRANSFORMER, Verdict, judged
from analysis.statistics.bleu import compare_bleu
from analysis.store import Store, System, read_store
from analysis.translation.claims import all_claims, sets_translated
from tests.support import verdicts
from tests.support.fakes.inspection import write_inspection
from tests.support.fakes.long_range import axis_rows, write_long_range
from tests.support.fakes.runs import result, row, write_json
from tests.support.fakes.translations import SENTENCES, write_heads, write_translated

AHEAD = "The Transformer translates better than the LSTM (multi30k)"
LONG = "One fixed vector must hold everything: the LSTM alone loses more BLEU on long sentences (multi30k)"
HEADS = "Several heads see several relations (in translation)"


def decided(path: Path) -> dict[str, Verdict]:
    return verdicts.decided(path, "translation")


def corpus_bleu(store: Store, system: System, seed: int = 0) -> float:
    run = next(run for run in store.finished("bleu") if (run.system, run.seed) == (system, seed))
    frame = store.translations(run, "test")
    assert frame is not None
    return float(BLEU().corpus_score(frame["hypothesis"].tolist(), [frame["reference"].tolist()]).score)


def test_the_effect_is_the_difference_of_corpus_bleu_with_its_paired_interval(tmp_path: Path) -> None:
    write_translated(tmp_path, "lstm", 0.4)
    write_translated(tmp_path, "transformer", 0.6, phase=0.3)
    store = read_store(tmp_path, "quick")
    effect = decided(tmp_path)[AHEAD].effect
    assert effect is not None
    assert effect.value == pytest.approx(corpus_bleu(store, TRANSFORMER) - corpus_bleu(store, LSTM))
    frames = [store.translations(run, "test") for run in store.finished("bleu")]
    lstm, transformer = (frame["hypothesis"].tolist() for frame in frames if frame is not None)
    assert frames[0] is not None
    paired = compare_bleu(lstm, transformer, frames[0]["reference"].tolist()).difference
    assert effect == pytest.approx(paired)


def test_means_over_seeds_and_an_interval_that_holds_every_two_seeds(tmp_path: Path) -> None:
    shares = {"lstm": (0.3, 0.4), "transformer": (0.7, 0.8)}
    for model, each in shares.items():
        for seed, share in enumerate(each):
            write_translated(tmp_path, model, share, seed=seed)
    store = read_store(tmp_path, "quick")
    verdict = decided(tmp_path)[AHEAD]
    scores = {s: [corpus_bleu(store, s, seed) for seed in (0, 1)] for s in (LSTM, TRANSFORMER)}
    assert verdict.outcome == SUPPORTED
    assert verdict.effect is not None
    assert verdict.effect.value == pytest.approx((sum(scores[TRANSFORMER]) - sum(scores[LSTM])) / 2)
    assert verdict.effect.low <= scores[TRANSFORMER][0] - scores[LSTM][1]
    assert verdict.effect.high >= scores[TRANSFORMER][1] - scores[LSTM][0]
    write_translated(tmp_path, "transformer", 0.2, seed=2)  # one dissenting seed leaves the claim open
    verdict = decided(tmp_path)[AHEAD]
    assert verdict.outcome == NOT_DECIDED
    assert verdict.reason.endswith("the interval crosses 0")


@pytest.mark.parametrize(
    ("behind", "rise", "outcome"),
    [
        ("lstm", 1.0, SUPPORTED),
        ("lstm", 20.0, NOT_DECIDED),
        ("transformer", 1.0, CONTRADICTED),
        ("transformer", 20.0, NOT_DECIDED),
    ],
)
def test_a_model_that_was_still_rising_may_catch_up(tmp_path: Path, behind: str, rise: float, outcome: str) -> None:
    """The one behind lacks about 40 BLEU, surely more than 30: a gain of 1 in the last 20 % promises 5 more."""
    for model in ("lstm", "transformer"):
        last = model == behind
        write_translated(tmp_path, model, 0.3 if last else 0.7, rise=rise if last else 15.0)  # the leader may rise
    verdict = decided(tmp_path)[AHEAD]
    assert verdict.outcome == outcome
    assert verdict.effect is not None
    if outcome == NOT_DECIDED:
        assert "still learning on multi30k when the budget ended" in verdict.reason
        assert "(seed 0: 10.0 to 30.0 on validation in the last 20 % of its steps)" in verdict.reason
        assert verdict.needed.startswith("A longer budget: ")


@pytest.mark.parametrize(("end", "outcome"), [(32.0, SUPPORTED), (80.0, NOT_DECIDED)])
def test_a_run_of_twice_the_budget_says_what_a_rising_model_would_gain(
    tmp_path: Path, end: float, outcome: str
) -> None:
    write_translated(tmp_path, "lstm", 0.3, rise=20.0)
    write_translated(tmp_path, "lstm", 0.3, variant="doubled", end=end)
    write_translated(tmp_path, "transformer", 0.7)
    verdict = decided(tmp_path)[AHEAD]
    assert verdict.outcome == outcome
    if outcome == NOT_DECIDED:
        assert "(seed 0: 30.0 to 80.0 on validation when trained twice as long)" in verdict.reason


@pytest.mark.parametrize(("rise", "outcome"), [(1.0, SUPPORTED), (25.0, NOT_DECIDED)])
def test_a_rising_lstm_is_not_called_unable_to_hold_long_sentences(tmp_path: Path, rise: float, outcome: str) -> None:
    write_translated(tmp_path, "lstm", 0.9, long_share=0.3, rise=rise)
    write_translated(tmp_path, "bahdanau", 0.9)
    verdict = decided(tmp_path)[LONG]
    assert verdict.outcome == outcome
    words = "LSTM 86.6 to 20.6, LSTM + attention 86.6 to 91.8 from at most 8 to at least 16 source words"
    assert verdict.reason.startswith(words)


@pytest.mark.parametrize(("long_share", "outcome"), [(0.3, SUPPORTED), (0.9, NOT_DECIDED)])
def test_a_rising_lstm_that_trained_twice_as_long_shows_what_it_still_loses(
    tmp_path: Path, long_share: float, outcome: str
) -> None:
    write_translated(tmp_path, "lstm", 0.9, long_share=0.3, rise=25.0)
    write_translated(tmp_path, "lstm", 0.9, long_share=long_share, variant="doubled")
    write_translated(tmp_path, "bahdanau", 0.9)
    verdict = decided(tmp_path)[LONG]
    assert verdict.outcome == outcome
    assert "LSTM, doubled 86.6 to" in verdict.reason


def test_losses_are_of_the_shortest_and_the_longest_quarter(tmp_path: Path) -> None:
    """All sentences of more than 12 words wrong, the others right: the longest quarter scores nothing."""
    write_translated(tmp_path, "lstm", 1.0, long_share=0.0)
    write_translated(tmp_path, "bahdanau", 1.0)
    effect = decided(tmp_path)[LONG].effect
    assert effect is not None
    assert effect.value == pytest.approx(100, abs=0.1)
    assert effect.low == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize(
    ("claim", "sentences", "lost", "reason"),
    [
        (LONG, {"lstm": 1, "bahdanau": 1}, "", "half of the sentences of multi30k have "),
        (
            AHEAD,
            {"lstm": 60, "transformer": 61},
            "",
            "Transformer and LSTM did not translate the same sentences of test",
        ),
        (AHEAD, {"transformer": 60, "lstm": 60}, "lstm", "not run: LSTM with hypotheses on multi30k, test"),
    ],
)
def test_translations_that_do_not_compare_decide_nothing(
    tmp_path: Path, claim: str, sentences: dict[str, int], lost: str, reason: str
) -> None:
    folders = {model: write_translated(tmp_path, model, 0.5, sentences=n) for model, n in sentences.items()}
    if lost:
        (folders[lost] / "hypotheses" / "test.jsonl").unlink()
    verdict = decided(tmp_path)[claim]
    assert (verdict.outcome, verdict.tested, verdict.effect) == (NOT_DECIDED, not lost, None)
    assert verdict.reason.startswith(reason)


def test_every_test_set_has_its_claims_and_without_any_each_is_told_once(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "lstm", axis_rows({4: 1.0}, "length"))
    assert sets_translated(read_store(tmp_path, "quick")) == {}
    assert len(decided(tmp_path)) == 6
    write_translated(tmp_path, "lstm", 0.3, sentences=60, test_set="test2016")
    write_translated(tmp_path, "transformer", 0.3, sentences=60, test_set="test2017")
    store = read_store(tmp_path, "quick")
    assert sets_translated(store) == {"multi30k": ["test2016", "test2017"]}
    found = judged(all_claims(store))
    assert len(found) == 6
    reasons = [verdict.reason for claim, verdict in found if claim.text.startswith("The Transformer")]
    assert "not run: Transformer with hypotheses on multi30k, test2016" in reasons
    assert store.problems == []  # no model is asked for a test set that it did not translate


@pytest.mark.parametrize(("second", "outcome"), [((0.3, 0.9), SUPPORTED), ((0.9, 0.3), CONTRADICTED)])
def test_a_model_is_better_only_if_it_is_on_every_test_set(
    second: tuple[float, float], outcome: str, tmp_path: Path
) -> None:
    """The LSTM and the Transformer on two test sets; the effect shown is that of the second."""
    for model, shares in (("lstm", (0.2, second[0])), ("transformer", (0.9, second[1]))):
        scores = []
        for name, share in zip(("test2016", "test2017"), shares, strict=True):
            folder = write_translated(tmp_path, model, share, test_set=name)
            scores.append(row("bleu", 100 * share, "BLEU", SENTENCES, "test_set", name))
        write_json(folder / "result.json", result("quick", model, "base", 0, scores))
    verdict = decided(tmp_path)[AHEAD]
    assert verdict.outcome == outcome, verdict
    assert verdict.reason.startswith("test2016: Transformer ")
    assert verdict.effect is not None
    assert (verdict.effect.value > 0) == (outcome == SUPPORTED)


def test_heads_of_one_map_are_compared_with_each_other_alone(tmp_path: Path) -> None:
    """Two maps, each of two equal heads, that do different things; a map of one head has nothing to compare."""
    write_heads(tmp_path, [(0.9, 0.9), (0.1, 0.1), (0.5,)])
    verdict = decided(tmp_path)[HEADS]
    assert verdict.outcome == CONTRADICTED
    assert verdict.effect == (0, 0, 0)
    assert verdict.reason.startswith("2 maps; ")


def test_heads_differ_by_their_most_different_relation(tmp_path: Path) -> None:
    rows = [
        row(f"head_{name}", value, "share", 200, f"encoder layer {layer}", head)
        for layer in (1, 2)
        for name, values in {"previous": (0.3, 0.4), "next": (0.1, 0.7), "entropy": (0.0, 3.0)}.items()
        for head, value in enumerate(values, start=1)
    ]
    write_inspection(tmp_path, "transformer", measurements=rows)
    effect = decided(tmp_path)[HEADS].effect
    assert effect is not None
    assert effect == pytest.approx((0.6, 0.6, 0.6))


def test_a_single_map_has_no_interval_and_one_seed_may_leave_it_open(tmp_path: Path) -> None:
    write_heads(tmp_path, [(0.9, 0.1)])
    verdict = decided(tmp_path)[HEADS]
    assert verdict.effect is not None
    assert str(verdict.effect.low) == "nan"
    for seed, (head, outcome) in enumerate(((0.9, SUPPORTED), (0.1, NOT_DECIDED))):
        write_heads(tmp_path, [(head, 0.1)] * 3, seed=seed)
        assert decided(tmp_path)[HEADS].outcome == outcome


def test_maps_of_one_head_say_nothing(tmp_path: Path) -> None:
    write_heads(tmp_path, [(0.9,), (0.8,)])
    verdict = decided(tmp_path)[HEADS]
    assert (verdict.outcome, verdict.tested) == (NOT_DECIDED, False)
    assert verdict.reason == "not run: no map of the Transformer with more than one head on multi30k"
