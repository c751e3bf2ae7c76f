"""Differences between two sides: intervals against scipy and by hand, and everything that must be refused."""

import math
from pathlib import Path

import pytest

from analysis.compare.differences import Difference, compare, is_timed, relation, share
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


def test_seeds_on_both_sides_give_welch() -> None:
    a = side("A", *(made(STEP, value, seed) for seed, value in enumerate((1.0, 2.0, 3.0))))
    b = side("B", *(made(STEP, value, seed) for seed, value in enumerate((2.0, 4.0))))
    found = only(a, b)
    assert found.how == "Welch t, 3 and 2 seeds"
    assert found.change == welch([1, 2, 3], [2, 4])
    assert found.ratio == 1.5
    assert not found.beyond


def test_one_seed_on_a_side_leaves_no_interval() -> None:
    a = side("A", made(STEP, 1.0), made(STEP, 2.0, 1))
    b = side("B", made(STEP, 4.0))
    found = only(a, b)
    assert (found.change.value, found.how) == (2.5, "none: 2 and 1 seeds")
    assert math.isnan(found.change.low)


def test_seeds_that_are_all_alike_leave_no_interval() -> None:
    parameters = STEP._replace(metric="parameters")
    a, b = (
        side(name, made(parameters, 7, 0, unit="parameters"), made(parameters, 7, 1, unit="parameters"))
        for name in "AB"
    )
    found = only(a, b)
    assert (found.change.value, found.how, found.equal) == (0, "none: seeds all alike", True)


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


def test_other_shares_are_no_proportions() -> None:
    chance = EXACT._replace(metric="chance: guessing")
    assert only(side("A", made(chance, 0.1)), side("B", made(chance, 0.2))).how == "none: one seed each"


@pytest.mark.parametrize(
    ("machine", "how", "ratio"),
    [("other", "refused: two machines", 2.0), ("", "refused: machine unknown", math.nan)],
)
def test_times_of_two_machines_are_not_subtracted(machine: str, how: str, ratio: float) -> None:
    found = only(side("A", made(STEP, 1.0)), side("B", made(STEP, 2.0, machine=machine)))
    assert found.how == how
    assert math.isnan(found.change.value)
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert (found.mean_a, found.mean_b) == (1, 2)
    assert not found.same_origin


def test_accuracy_of_two_machines_is_compared() -> None:
    found = only(side("A", made(EXACT, 0.5)), side("B", made(EXACT, 0.75, machine="other")))
    assert found.change.value == 0.25
    assert math.isnan(found.ratio)


def test_memory_has_a_ratio_on_any_machine() -> None:
    memory = STEP._replace(metric="peak_memory")
    found = only(side("A", made(memory, 10, unit="B", machine="")), side("B", made(memory, 30, unit="B")))
    assert (found.ratio, found.change.value) == (3, 20)


def test_other_units_are_refused_by_name() -> None:
    found = only(side("A", made(STEP, 1.0)), side("B", made(STEP, 1000.0, unit="ms")))
    assert found.how == "refused: the units are s and ms"
    assert math.isnan(found.change.value)
    assert math.isnan(found.ratio)


def test_a_unit_that_one_side_leaves_out_is_the_others() -> None:
    assert only(side("A", made(EXACT, 0.5, unit="")), side("B", made(EXACT, 0.5))).unit == "share"


def test_what_was_not_measured_has_no_difference() -> None:
    found = only(side("A", made(EXACT, math.nan)), side("B", made(EXACT, 0.5)))
    assert found.how == "none: not measured"
    assert not found.equal


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
    assert is_timed("decode_seconds", "s")
    assert is_timed("target_tokens_per_second", "tokens/s")
    assert is_timed("weak_efficiency", "share")
    assert not is_timed("token_accuracy", "share")
    assert not is_timed("peak_memory", "B")
    assert relation({"m"}, {"m"}) == "same machine"
    assert relation({"m", "n"}, {"m", "n"}) == "two machines"  # which seed was where cannot be matched
    assert relation({"m", ""}, {"m"}) == "machine unknown"


def runs(tmp_path: Path, name: str, error: float) -> Side:
    write_run(tmp_path / name, "lstm", error=error, sentences=60)
    return read_side(name, tmp_path / name / "quick")


def bleu_at(a: Side, b: Side) -> Difference:
    return next(d for d in compare(a, b).differences if d.place.metric == "bleu" and d.place.x == "test2016")


def test_bleu_of_two_runs_gets_a_paired_bootstrap(tmp_path: Path) -> None:
    found = bleu_at(runs(tmp_path, "A", 0.6), runs(tmp_path, "B", 0.1))
    assert found.how == "paired bootstrap over sentences"
    assert 0 < found.change.low < found.change.value < found.change.high
    assert found.change.value == pytest.approx(found.mean_b - found.mean_a)


def test_equal_runs_differ_by_nothing(tmp_path: Path) -> None:
    found = bleu_at(runs(tmp_path, "A", 0.3), runs(tmp_path, "B", 0.3))
    assert found.change == (0, 0, 0)
    assert found.equal
    assert not found.beyond


@pytest.mark.parametrize("broken", ["missing", "other source", "other hypothesis"])
def test_no_bootstrap_over_sentences_that_are_not_the_same(tmp_path: Path, broken: str) -> None:
    a, b = runs(tmp_path, "A", 0.3), runs(tmp_path, "B", 0.3)
    path = folder_of(tmp_path / "B", "lstm") / "hypotheses" / "test2016.jsonl"
    rows = [dict(row) for row in read_translations(path)]
    if broken == "missing":
        path.unlink()
    elif broken == "other source":
        write_lines(path, [row | {"source": "x"} for row in rows])
    else:
        write_lines(path, [row | {"hypothesis": "x"} for row in rows])
    assert bleu_at(a, b).how == "none: one seed each"
    assert b.store is not None
    assert bool(b.store.problems) == (broken == "missing")


def test_a_seed_that_one_side_lacks_changes_nothing() -> None:
    a, b = side("A", made(EXACT, 0.5), made(EXACT, 0.75, 1)), side("B", made(EXACT, 0.5))
    assert not only(a, b).changed
    assert not only(a, b).equal
    assert only(a, side("B", made(EXACT, 0.5), made(EXACT, 0.25, 1))).changed
