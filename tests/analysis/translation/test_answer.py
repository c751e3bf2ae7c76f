"""The answer on translation: who is better only where the paired test says so, and who was still learning."""

from pathlib import Path

import pytest

from analysis.page.look import Look
from analysis.store import read_store
from analysis.translation.answer import answer
from analysis.translation.bleu import measure
from tests.support.fakes.runs import write_run
from tests.support.fakes.translations import write_translated


def said(path: Path) -> str:
    store = read_store(path, "quick")
    return answer(store, Look(run.system for run in store.runs), measure(store)).text


@pytest.mark.parametrize(
    ("transformer", "attention", "verb"), [(0.05, 0.4, "translates better"), (0.4, 0.05, "translates worse")]
)
def test_the_transformer_is_compared_with_attention_first(
    transformer: float, attention: float, verb: str, tmp_path: Path
) -> None:
    for model, error in (("lstm", 0.9), ("bahdanau", attention), ("transformer", transformer)):
        write_run(tmp_path, model, error=error, test_sets=("test",))
    text = said(tmp_path)
    assert text.startswith(f"The Transformer {verb} than the LSTM + attention: ")
    assert text.endswith(" (hardly learned).")


def test_without_significance_there_is_no_winner(tmp_path: Path) -> None:
    for seed, first, second in ((0, 0.05, 0.4), (1, 0.4, 0.05)):
        for model, error in (("bahdanau", first), ("transformer", second)):
            write_run(tmp_path, model, error=error, seed=seed, test_sets=("test",))
    assert said(tmp_path).startswith("No clear difference between the Transformer and the LSTM + attention: ")


def test_a_model_that_was_still_learning_is_named(tmp_path: Path) -> None:
    write_translated(tmp_path, "bahdanau", 0.6, rise=20.0)
    write_translated(tmp_path, "transformer", 0.8)
    assert said(tmp_path).endswith(", but the LSTM + attention was still learning when training ended.")


def test_one_model_is_named_without_comparison(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",), error=0.1)
    (result,) = measure(read_store(tmp_path, "quick"))
    (outcome,) = result.outcomes.values()
    assert said(tmp_path) == f"BLEU: LSTM {outcome.mean:.1f}."
