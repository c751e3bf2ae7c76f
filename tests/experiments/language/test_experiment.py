import math
from pathlib import Path

import numpy as np
import pytest

from datamodules.language.text import Windows
from experiments.language.experiment import bins, by_distance, by_position
from experiments.planning.grid import plan_tasks
from experiments.record.read import read_attention
from experiments.run import main
from tests.support.refusals import refusal
from tests.support.tiny_runs import WORST, assert_measured_at_its_worst, finished_here, measured

LOSSES = np.tile(np.arange(1.0, 21), (4, 1)) + np.array([[-0.5], [0.5], [-0.5], [0.5]])


def test_bins_double_and_end_at_the_longest() -> None:
    assert list(bins(20)) == [(1, 8), (9, 16), (17, 20)]
    assert list(bins(8)) == [(1, 8)]


def test_loss_by_position() -> None:
    rows = {(m.metric, m.x): (m.value, m.n) for m in by_position(LOSSES)}
    assert rows["loss", 8] == (4.5, 32)
    assert rows["loss", 20] == (18.5, 16)
    assert rows["loss_error", 16] == (pytest.approx(math.sqrt(1 / 12)), 32)  # four pieces, half below and half above


def test_loss_and_accuracy_by_distance() -> None:
    distances = np.zeros((4, 20), dtype=int)
    distances[0, 3], distances[1, 3], distances[2, 5] = 2, 8, 11
    guesses = np.where(distances == 8, 0.5, 0.25)
    right = np.zeros((4, 20), dtype=bool)
    right[0, 3] = True
    windows = Windows(np.zeros((4, 21), dtype=int), distances, {"guessing": guesses})
    rows = {(m.metric, m.x): (m.value, m.n) for m in by_distance(LOSSES, right, windows)}
    assert rows["loss", 8] == (4.0, 2)
    assert rows["loss", 11] == (5.5, 1)
    assert rows["token_accuracy", 8] == (0.5, 2)
    assert rows["chance: guessing", 8] == (0.375, 2)
    assert rows["chance: guessing", 11] == (0.25, 1)


@pytest.mark.parametrize("model", ["lstm", "bahdanau", "transformer"])
def test_a_run_on_stories(model: str, tmp_path: Path) -> None:
    (planned,) = plan_tasks(
        "language", "smoke", ["stories"], [model], [0], str(tmp_path), ["--trainer.accelerator=cpu"]
    )
    main(planned.arguments)
    values = measured(planned.key.folder)
    assert values["bits", "", None] == pytest.approx(values["loss", "", None] / math.log(2))
    assert values["perplexity", "", None] == pytest.approx(math.exp(values["loss", "", None]))
    assert {x for metric, name, x in values if (metric, name) == ("loss", "position")} == {8, 16, 32, 40}
    assert {(metric, name) for metric, name, _ in values} >= {("token_accuracy", "distance"), ("loss", "distance")}
    assert values["source_tokens", "", None] == 0
    assert values["target_tokens", "", None] == 4 * 8 * 40
    records = read_attention(planned.key.folder / "attention.json")
    assert [record["id"] for record in records] == [0, 1, 2]
    names = {"lstm": [], "bahdanau": ["decoder"], "transformer": ["decoder layer 1"]}[model]
    for record in records:
        assert list(record["maps"]) == names
        assert len(record["target_tokens"]) == 40
        for heads in map(np.array, record["maps"].values()):
            assert not heads[:, *np.triu_indices(40, 1)].any()  # no word sees a later one
            assert np.abs(heads.sum(-1) - 1).max() < 0.03


def test_what_is_measured_is_the_checkpoint_that_was_chosen(tmp_path: Path) -> None:
    settings = ["--trainer.accelerator=cpu", *WORST]
    (planned,) = plan_tasks("language", "smoke", ["stories"], ["lstm"], [0], str(tmp_path), settings)
    main(planned.arguments)
    assert_measured_at_its_worst(planned.key.folder)


def test_a_run_on_a_text_file_is_finished_until_the_file_is_edited(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(f"{n} green bottles.\n" for n in range(400)))
    text = "--data.init_args.text={class_path: datamodules.language.text_file.TextFile, init_args: {path: text.txt}}"
    settings = [text, f"--data.init_args.data_dir={tmp_path}", "--trainer.accelerator=cpu"]
    (planned,) = plan_tasks("language", "smoke", ["stories"], ["lstm"], [0], str(tmp_path), settings)
    main(planned.arguments)
    names = {(metric, name) for metric, name, _ in measured(planned.key.folder)}
    assert names >= {("context_gain", "context, cut"), ("loss", "context, shuffled beyond"), ("loss", "position")}
    assert not {metric for metric, name in names} & {"perplexity", "token_accuracy"}
    assert finished_here([planned]) == [True]
    with (tmp_path / "text.txt").open("a") as file:
        file.write("0 green bottles.\n")
    assert finished_here([planned]) == [False]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "is missing"), ("", "is empty"), ("short", "too short"), ("\0" * 900, "NUL")]
)
def test_what_is_no_text_is_one_sentence_and_nothing_is_written(content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "text.txt").write_text(content)
    text = "--data.init_args.text={class_path: datamodules.language.text_file.TextFile, init_args: {path: text.txt}}"
    settings = [text, f"--data.init_args.data_dir={tmp_path}", "--trainer.accelerator=cpu"]
    (planned,) = plan_tasks("language", "smoke", ["stories"], ["lstm"], [0], str(tmp_path / "runs"), settings)
    said = refusal(main, planned.arguments)
    assert said.startswith(f"error: {tmp_path / 'text.txt'}")
    assert says in said
    assert not list(planned.key.folder.glob("checkpoints"))
