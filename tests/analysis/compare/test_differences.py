"""Differences between two sides: intervals against scipy and by hand, and everything that must be refused."""

import math
from pathlib import Path

import pytest

from analysis.compare.differences import Difference, compare, is_timed, mean, relation, share
from analysis.compare.sides import Number, Place, Side, read_side
from analysis.statistics.intervals import welch
from experiments.record.read import read_translations
from tests.support.fakes.runs import folder_of, write_lines, write_run

EXACT = Place("long-range", "recall", "lstm", "base", "exact_match", "gap", "16")
TOKENS = EXACT._replace(metric="token_accuracy")
ERROR = EXACT._replace(metric="token_accuracy_error")
STEP = Place("speed", "length", "lstm", "base", "step_seconds", "length", "64")


def side(name: str, *numbers: Number) -> Side:
    return Side(name, Path(name), "report", name, numbers)


def made(place: Place, value: float, seed: int = 0, **settings: object) -> Number:
    unit = "share" if place.experiment == "long-range" else "s"
    return Number(place, seed, value, **({"unit": unit, "n": 400.0, "machine": "m", "commit": "c"} | settings))  # type: ignore[arg-type]


def only(a: Side, b: Side) -> Difference:
    (found,) = compare(a, b).differences
    return found


def seeds(place: Place, *values: float, **settings: object) -> list[Number]:
    return [made(place, value, seed, **settings) for seed, value in enumerate(values)]


def test_seeds_on_both_sides_give_welch() -> None:
    found = only(side("A", *seeds(STEP, 1, 2, 3)), side("B", *seeds(STEP, 2, 4)))
    assert found.how == "Welch t, 3 and 2 seeds"
    assert found.change == welch([1, 2, 3], [2, 4])
    assert found.ratio == 1.5
    assert not found.beyond


def test_shares_give_newcombes_interval_by_hand() -> None:
    # Newcombe (1998), Table II, first example: 56/70 and 48/80, method 10 gives 0.0524 to 0.3339
    found = only(side("A", made(EXACT, 48 / 80, n=80)), side("B", made(EXACT, 56 / 70, n=70)))
    assert found.how == "Newcombe, over test examples"
    assert found.change.value == pytest.approx(0.2)
    assert (found.change.low, found.change.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert found.beyond


def test_a_recorded_standard_error_replaces_the_number_of_examples() -> None:
    narrow = share(side("A", made(EXACT, 0.9)), EXACT)
    wide = share(side("A", made(TOKENS, 0.9), made(ERROR, 0.05)), TOKENS)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert math.isnan(share(side("A", made(TOKENS, 0.9)), TOKENS).low)  # its error was not recorded


@pytest.mark.parametrize(("value", "n"), [(0.5, math.nan), (0.5, 1), (1.5, 400), (math.nan, 400)])
def test_a_share_of_nothing_known_has_no_interval(value: float, n: float) -> None:
    assert math.isnan(share(side("A", made(EXACT, value, n=n)), EXACT).low)


CHANCE, MEMORY = EXACT._replace(metric="chance: guessing"), STEP._replace(metric="peak_memory")
PARAMETERS = STEP._replace(metric="parameters")
NAN = math.nan


@pytest.mark.parametrize(
    ("a", "b", "how", "change", "ratio"),
    [
        (seeds(STEP, 1, 2), seeds(STEP, 4), "none: 2 and 1 seeds", 2.5, 8 / 3),
        (seeds(PARAMETERS, 7, 7, unit=""), seeds(PARAMETERS, 7, 7, unit=""), "none: seeds all alike", 0, NAN),
        (seeds(CHANCE, 0.5), seeds(CHANCE, 0.75), "none: one seed each", 0.25, NAN),
        (seeds(EXACT, NAN), seeds(EXACT, 0.5), "none: not measured", NAN, NAN),
        (seeds(STEP, 1), seeds(STEP, 2, machine="other"), "refused: two machines", NAN, 2),
        (seeds(STEP, 1), seeds(STEP, 2, machine=""), "refused: machine unknown", NAN, NAN),
        (seeds(STEP, 1), seeds(STEP, 1000, unit="ms"), "refused: the units are s and ms", NAN, NAN),
        (seeds(MEMORY, 10, unit="B", machine=""), seeds(MEMORY, 30, unit="B"), "none: one seed each", 20, 3),
        (seeds(EXACT, 0.5), seeds(EXACT, 0.75, machine="other"), "Newcombe, over test examples", 0.25, NAN),
        (seeds(EXACT, 0.5, unit=""), seeds(EXACT, 0.75), "Newcombe, over test examples", 0.25, NAN),
    ],
)
def test_a_difference_without_an_interval_has_a_reason(
    a: list[Number], b: list[Number], how: str, change: float, ratio: float
) -> None:
    found = only(side("A", *a), side("B", *b))
    assert found.how == how
    assert (found.change.value, found.ratio) == pytest.approx((change, ratio), nan_ok=True)
    assert math.isnan(found.change.low) == (not how.startswith("Newcombe"))
    assert found.unit == b[0].unit or "units" in how
    assert found.same_origin == all(n.machine == "m" for n in b + a)


def test_nothing_is_dropped() -> None:
    a, b = side("A", made(EXACT, 0.5), made(STEP, 1)), side("B", made(EXACT, 0.5), made(TOKENS, 0.5))
    found = compare(a, b)
    assert (found.only_a, found.only_b) == ([STEP], [TOKENS])
    assert [d.place for d in found.differences] == [EXACT]
    assert found.differences[0].same_origin


def test_equal_means_the_same_values_whatever_their_mean() -> None:
    a = side("A", made(EXACT, 0.25, 0), made(EXACT, 0.75, 1))
    b = side("B", made(EXACT, 0.5, 0), made(EXACT, 0.5, 1))
    assert not only(a, b).equal
    assert only(a, side("B", *a.numbers)).equal


def test_what_depends_on_the_machine() -> None:
    timed = {"decode_seconds": "s", "target_tokens_per_second": "tokens/s", "weak_efficiency": "share"}
    metrics = timed | {"token_accuracy": "share", "peak_memory": "B"}
    assert [metric for metric, unit in metrics.items() if is_timed(metric, unit)] == list(timed)
    pairs = ({"m"}, {"m"}), ({"m", "n"}, {"m", "n"}), ({"m", ""}, {"m"})  # which seed was where cannot be matched
    assert [relation(*each) for each in pairs] == ["same machine", "two machines", "machine unknown"]


def runs(tmp_path: Path, name: str, error: float) -> Side:
    write_run(tmp_path / name, "lstm", error=error, sentences=60)
    return read_side(name, tmp_path / name / "quick")


def bleu_at(a: Side, b: Side) -> Difference:
    return next(d for d in compare(a, b).differences if d.place.metric == "bleu" and d.place.x == "test2016")


def test_bleu_of_two_runs_gets_a_paired_bootstrap(tmp_path: Path) -> None:
    found = bleu_at(runs(tmp_path, "A", 0.6), runs(tmp_path, "B", 0.1))
    assert found.how == "paired bootstrap over sentences"
    assert 0 < found.change.low < found.change.value < found.change.high
    assert found.change.value == pytest.approx(mean(found.b) - mean(found.a))


@pytest.mark.parametrize("change", [None, {"source": "x"}, {"hypothesis": "x"}])
def test_no_bootstrap_over_sentences_that_are_not_the_same(tmp_path: Path, change: dict[str, str] | None) -> None:
    a, b = runs(tmp_path, "A", 0.3), runs(tmp_path, "B", 0.3)
    path = folder_of(tmp_path / "B", "lstm") / "hypotheses" / "test2016.jsonl"
    if change:
        write_lines(path, [{**row, **change} for row in read_translations(path)])
    else:
        path.unlink()
    assert bleu_at(a, b).how == "none: one seed each"
    assert b.store is not None
    assert bool(b.store.problems) == (change is None)


def test_a_seed_that_one_side_lacks_changes_nothing() -> None:
    a, b = side("A", made(EXACT, 0.5), made(EXACT, 0.75, 1)), side("B", made(EXACT, 0.5))
    assert not only(a, b).changed
    assert not only(a, b).equal
    assert only(a, side("B", made(EXACT, 0.5), made(EXACT, 0.25, 1))).changed
