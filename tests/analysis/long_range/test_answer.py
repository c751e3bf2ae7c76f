"""The answer on long range: the longest trained value and the one farthest beyond it, with who was under-trained."""

from pathlib import Path

import pytest

from analysis.long_range.answer import answer
from analysis.long_range.axes import axes
from analysis.long_range.prose import dips
from analysis.page.look import Look
from analysis.store import read_store
from tests.support.fakes.long_range import axis_rows, write_long_range


def said(path: Path) -> str:
    store = read_store(path, "quick")
    return answer(store, Look(run.system for run in store.runs)).text


@pytest.mark.parametrize(
    ("transformer", "attention", "words"),
    [
        (0.99, 0.5, "the Transformer remembers more than the LSTM + attention: 99 % against 50 % right"),
        (0.5, 0.99, "the LSTM + attention remembers more than the Transformer: 99 % against 50 % right"),
        (0.99, 0.93, "the Transformer and the LSTM + attention both remember: 99 % and 93 % right"),
        (0.5, 0.505, "the LSTM + attention and the Transformer do not clearly differ: 50 % and 50 % right"),
    ],
)
def test_the_two_with_attention_are_compared_at_the_longest_trained(
    transformer: float, attention: float, words: str, tmp_path: Path
) -> None:
    for model, value in (("transformer", transformer), ("bahdanau", attention), ("lstm", 0.2)):
        write_long_range(tmp_path, "copy", model, axis_rows({4: 1.0, 32: value, 64: 0.1}, "length"))
    assert said(tmp_path) == (
        f"On copy at length 32, the longest trained, {words}. Others: LSTM 20 %. "
        "Beyond training, at length 64: Transformer 10 % and LSTM + attention 10 %."
    )


def test_another_task_answers_where_copying_was_not_run_and_the_under_trained_are_named(tmp_path: Path) -> None:
    write_long_range(tmp_path, "recall", "gru", axis_rows({4: 0.5, 8: 0.4}, "gap, symbols 4"), control=0.5)
    assert said(tmp_path) == "On recall at gap 8: GRU 40 % (under-trained)."


def test_a_dip_between_trained_values_is_named_and_a_fall_is_not(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "transformer", axis_rows({4: 1.0, 16: 0.6, 32: 0.99, 64: 0.1}, "length"))
    write_long_range(tmp_path, "copy", "lstm", axis_rows({4: 1.0, 16: 0.6, 32: 0.5, 64: 0.1}, "length"))
    (axis,) = axes(read_store(tmp_path, "quick"), "copy")
    said = "Transformer 0.60 at length 16, between 1.00 at 4 and 0.99 at 32"
    assert dips(axis) == f"Far worse between trained values: {said}."
