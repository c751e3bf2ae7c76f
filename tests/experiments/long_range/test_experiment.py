import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules.batch import IGNORE, Batch
from datamodules.synthetic import Axis, SyntheticData
from datamodules.tasks.adding import Adding
from datamodules.tasks.agreement import FIRST_NOUN, ID, LEXEMES, Agreement
from datamodules.tasks.copying import Copy
from datamodules.tasks.task import Point, Task
from experiments.long_range import experiment as long_range
from experiments.long_range.experiment import (
    ControlAccuracy,
    attention_entropy,
    right_share,
    squared_error,
    subject_flip,
    subject_probe,
)
from experiments.planning.grid import Planned, plan_tasks
from experiments.run import main
from models import LSTMSeq2Seq
from models.lstm import LSTMSettings
from models.network import Network
from tests.support import tiny_runs
from tests.support.fakes.long_range import trials_of
from tests.support.tiny_runs import read_json, read_lines
from tests.support.toy_networks import transformer

Measured = dict[tuple[str, str, Any], float]


class Constant(torch.nn.Module):
    """Takes the place of a network: the logits of an example do not depend on its input."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        return self.logits[source[:, 0]]  # an example's first token is its number


def constant(logits: Tensor) -> Network:
    return cast(Network, Constant(logits))


def numbered(labels: list[list[int]]) -> Batch:
    rows = torch.arange(len(labels))
    return Batch(
        rows.unsqueeze(1), torch.ones(len(labels), len(labels[0]), dtype=torch.long), torch.tensor(labels), rows
    )


def copies(alphabet: int = 7, **more: Any) -> SyntheticData:
    return SyntheticData(Copy(alphabet), [{"length": [3]}], {"length": 3}, [Axis("length", [3])], **more)


def test_the_share_of_right_answers_counts_scored_positions_alone() -> None:
    answers = torch.tensor([[5, 6, 7], [5, 6, 7], [8, 8, 8]])
    batch = numbered([[5, 6, 7], [5, 9, IGNORE], [9, IGNORE, IGNORE]])
    logits = torch.nn.functional.one_hot(answers, 10).float()
    assert right_share(constant(logits), batch, Copy(6)).tolist() == [1.0, 0.5, 0.0]


def test_the_longest_sequence_is_found_before_training_wherever_it_is() -> None:
    for train, test in ((20, 3), (3, 20)):
        data = SyntheticData(Copy(7), [{"length": [3, train]}], {"length": 3}, [Axis("length", [3, test])])
        tokens, what = long_range.longest(data)
        assert tokens >= 20
        assert what == "an example at length 20"


def test_a_sum_is_right_within_the_tolerance_of_the_mean_answer() -> None:
    task = Adding(10, tolerance=0.1)
    values = torch.from_numpy(task.values)
    low, middle = 8, 9  # ids of neighbouring sums, 0.1 apart
    logits = torch.full((3, 1, len(values)), -torch.inf)
    logits[0, 0, low] = 0  # sure of the sum below: wrong by 0.1, which is just right
    logits[1, 0, low - 1] = 0  # wrong by 0.2
    logits[2, 0, [low - 1, middle + 2]] = 0  # between two sums: their mean is right
    batch = numbered([[middle]] * 3)
    assert values[middle] - values[low] == pytest.approx(0.1)
    task.tolerance += 1e-9
    assert right_share(constant(logits), batch, task).tolist() == [1.0, 0.0, 1.0]
    assert squared_error(constant(logits), batch, task) == pytest.approx((0.01 + 0.04 + 0.0) / 3)


def at_one(task: Task, point: Point) -> SyntheticData:
    (vary, value), *others = point.items()
    return SyntheticData(task, [{name: [n] for name, n in point.items()}], point, [Axis(vary, [value], dict(others))])


def test_the_probe_reads_the_subject_from_the_subject_on() -> None:
    task = Agreement()
    point = {"distance": 3, "nouns": 0, "attractors": 0}
    data = at_one(task, point)
    batch = data.examples("test", point, 400)
    settings = LSTMSettings(embedding=32, hidden=32, bidirectional=False, dropout=0.0)
    torch.manual_seed(0)
    sizes = {"source_vocabulary": task.source_vocab_size, "target_vocabulary": task.target_vocab_size}
    network = LSTMSeq2Seq(settings, **sizes).network
    rows = subject_probe(network, task, batch, "trained")
    accuracy = {row.x: row.value for row in rows if row.metric == "probe_accuracy"}
    assert list(accuracy) == [0, 1, 2, 3]
    assert accuracy[0] > 0.5  # just read
    assert accuracy[3] < accuracy[0]
    assert {row.x_name for row in rows} == {"words read, trained"}


class Nearest(torch.nn.Module):
    """Agrees with the last noun of the sentence, the subject where there is no other."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        place = (source >= FIRST_NOUN) & (source < FIRST_NOUN + 2 * LEXEMES)
        last = (place * torch.arange(1, 1 + source.shape[1])).argmax(1, keepdim=True)
        plural = (source.gather(1, last) - FIRST_NOUN) % 2
        return self.scale * torch.nn.functional.one_hot(ID["is"] + plural, 6)


def test_the_flip_test_asks_for_the_right_verb_in_both_numbers_of_the_subject() -> None:
    task = Agreement()
    for attractors, distance, followed in ((0, 5, 0.0), (1, 5, 0.0), (0, 0, 1.0)):
        point = {"distance": distance, "nouns": int(distance > 0), "attractors": attractors}
        batch = at_one(task, point).examples("test", point, 30)
        assert subject_flip(cast(Network, Nearest()), task, batch) == followed
        assert float(right_share(cast(Network, Nearest()), batch, task).mean()) == 1 - attractors


def planned(root: Path, task: str, model: str, *overrides: str) -> Planned:
    (one,) = plan_tasks("long-range", "smoke", [task], [model], [0], str(root), list(overrides))
    return one


def tiny(root: Path, task: str = "recall", model: str = "lstm", *overrides: str) -> Path:
    one = planned(root, task, model, "--trainer.accelerator=cpu", *overrides)
    main(one.arguments)
    return one.key.folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("runs"), "recall", "transformer")


@pytest.fixture(scope="module")
def measured(folder: Path) -> Measured:
    return {(r["metric"], r["x_name"], r["x"]): r["value"] for r in read_json(folder / "result.json")["measurements"]}


def test_a_run_measures_every_value_of_every_axis(measured: Measured) -> None:
    axes = {"gap, symbols 4": [1, 4, 8], "symbols, gap 4": [2, 4]}
    for name, values in axes.items():
        for metric in ("token_accuracy", "token_accuracy_error", "exact_match", "trained", "chance: guessing"):
            assert [x for m, x_name, x in measured if (m, x_name) == (metric, name)] == values
        assert {measured["chance: guessing", name, x] for x in values} == {1 / 8}
    assert [measured["trained", "gap, symbols 4", gap] for gap in (1, 4, 8)] == [1, 1, 0]


def test_a_run_measures_its_control_and_its_probes(measured: Measured) -> None:
    assert ("control_accuracy", "control", "gap 1, symbols 4") in measured
    assert ("steps_to_0.99", "", None) not in measured  # four steps teach nothing
    for when in ("at initialisation", "trained"):
        reach = [x for m, x_name, x in measured if (m, x_name) == ("gradient_reach", f"distance, {when}")]
        assert reach == [1, 2, 3, 4, 6, 8]  # 4 symbols and the longest trained gap, 4
    assert 0 < measured["permutation_difference", "", None] < 1
    attended = [x for m, x_name, x in measured if m == "attention_on_answer"]
    assert attended == [1, 4, 8, 2, 4]


def test_a_transformers_attention_is_measured_before_and_after_training(measured: Measured) -> None:
    for when in ("at initialisation", "trained"):
        (entropy,) = (value for (m, x_name, _), value in measured.items()
                      if (m, x_name) == ("attention_entropy", f"layer, {when}"))  # fmt: skip
        assert 0 < entropy <= math.log(8) + 1e-6  # gap 4 and 4 symbols
    scaled, unscaled = (
        [measured["score_entropy", f"head size, {name}", d] for d in (4, 256)] for name in ("scaled", "unscaled")
    )
    assert scaled[1] == pytest.approx(scaled[0], abs=0.1)
    assert unscaled[1] < unscaled[0] - 2


def test_the_entropy_of_attention_is_that_of_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    network = transformer(shared=True)
    weights = torch.tensor([[[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [0.5, 0.5, 0, 0]]]).unsqueeze(1)  # (1, 1, 3, 4)
    monkeypatch.setattr(network, "attention", lambda *_: {"cross layer 1": weights})
    batch = Batch(
        torch.tensor([[4, 5, 6, 7]]), torch.tensor([[1, 4, 5]]), torch.tensor([[4, 5, IGNORE]]), torch.tensor([0])
    )
    (row,) = attention_entropy(network, batch, "trained")
    assert row.value == pytest.approx(math.log(4) / 2)
    assert (row.x_name, row.x) == ("layer, trained", "cross layer 1")
    assert network.training


@pytest.fixture(scope="module")
def lstm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("lstm"))


def test_a_tuned_learning_rate_changes_a_run_but_not_its_probes_at_initialisation(
    lstm_folder: Path, tmp_path: Path
) -> None:
    tuned, trials = tmp_path / "lstm.json", trials_of(chosen=1)
    for each in (trials["space"], *(trial["values"] for trial in trials["trials"])):
        del each["initialisation_scale"]
    tuned.write_text(json.dumps(trials))
    one = planned(tmp_path / "runs", "recall", "lstm", "--trainer.accelerator=cpu")
    main([*one.arguments, "-c", str(tuned)])
    assert read_json(one.key.folder / "trials.json") == read_json(tuned)
    record, untuned = (read_json(folder / "result.json") for folder in (one.key.folder, lstm_folder))
    assert record["model_settings"]["init_args"]["optimisation"]["learning_rate"] == 0.00284
    assert record["model_settings"]["init_args"]["network"] == untuned["model_settings"]["init_args"]["network"]
    initial, trained = (
        [[row["value"] for row in each["measurements"] if row["x_name"] == f"distance, {when}"]
         for each in (record, untuned)]
        for when in ("at initialisation", "trained")
    )  # fmt: skip
    assert initial[0] == initial[1] != []
    assert trained[0] != trained[1]


def test_validation_measures_the_control(folder: Path) -> None:
    rows = read_lines(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if row["metric"] == "val/control_accuracy"] == [2, 4]
    assert [row["step"] for row in rows if row["metric"] == "val/token_accuracy"] == [2, 4]


def test_shares_of_examples_give_accuracy_error_and_exact_match(monkeypatch: pytest.MonkeyPatch) -> None:
    data = copies(test_examples=4)
    sizes = {"source_vocabulary": data.source_vocab_size, "target_vocabulary": data.target_vocab_size}
    module = LSTMSeq2Seq(LSTMSettings(hidden=4, embedding=4), **sizes)
    shares = torch.tensor([1.0, 0.75, 0.5, 0.75], dtype=torch.double)
    monkeypatch.setattr(long_range, "right_share", lambda *_: shares)
    run: Any = SimpleNamespace(data=data, module=module)
    rows = {m.metric: m.value for m in long_range.at_point(run, data.test[0], 3, {"length": 3})}
    assert (rows["token_accuracy"], rows["exact_match"]) == (0.75, 0.25)
    assert rows["token_accuracy_error"] == pytest.approx(math.sqrt(1 / 24) / 2)


def test_what_is_measured_is_the_checkpoint_that_was_chosen(tmp_path: Path) -> None:
    tiny_runs.assert_measured_at_its_worst(tiny(tmp_path, "recall", "lstm", *tiny_runs.WORST))


def test_the_first_mastery_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    data = copies(test_examples=4)
    control = ControlAccuracy(data)
    sizes = {"source_vocabulary": data.source_vocab_size, "target_vocabulary": data.target_vocab_size}
    module = LSTMSeq2Seq(LSTMSettings(hidden=4, embedding=4), shared_vocabulary=True, **sizes)
    logged: list[float] = []
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.append(value))
    shares = iter([0.5, 0.99, 0.2, 1.0])
    monkeypatch.setattr(long_range, "right_share", lambda *_: torch.tensor([next(shares)], dtype=torch.double))

    class At:
        def __init__(self, step: int) -> None:
            self.global_step = step

    for step in (10, 20, 30, 40):
        control.on_validation_epoch_end(cast(L.Trainer, At(step)), module)
    assert control.mastered_at == 20
    assert logged == [0.5, 0.99, 0.2, 1.0]
    resumed = ControlAccuracy(data)
    resumed.load_state_dict(control.state_dict())
    assert resumed.mastered_at == 20


def test_a_regression_is_measured_by_its_squared_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = "--data={class_path: SyntheticData, init_args: {task: {class_path: datamodules.tasks.adding.Adding}, "
    task += "train: [{length: [4]}], control: {length: 4}, test: [{vary: length, values: [4, 6]}], test_examples: 50}}"
    folder = tiny(tmp_path, "recall", "lstm", task)
    rows = read_json(folder / "result.json")["measurements"]
    assert [row["x"] for row in rows if row["metric"] == "squared_error"] == [4, 6]
    means = [row["value"] for row in rows if row["metric"] == "chance squared error: the mean"]
    assert means == pytest.approx([1 / 6, 1 / 6], abs=0.06)


def test_a_trial_is_not_evaluated_on_test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = SyntheticData.examples
    monkeypatch.setattr(
        SyntheticData, "examples", lambda self, split, *rest: drawn.append(split) or draw(self, split, *rest)
    )
    monkeypatch.setattr(long_range, "probes", lambda *_: [])
    folder = tiny(tmp_path, "recall", "lstm", "--evaluate_tests=false")
    assert set(drawn) == {"val"}
    metrics = {row["metric"] for row in read_json(folder / "result.json")["measurements"]}
    assert "val_loss" in metrics
    assert "token_accuracy" not in metrics


@pytest.mark.parametrize("step", [2, 3])
def test_a_terminated_run_resumes_as_if_nothing_had_happened(step: int, lstm_folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        tiny_runs.terminate_at(patch, step)
        with pytest.raises(SystemExit, match="143"):
            tiny(tmp_path)
    tiny_runs.assert_same(tiny(tmp_path), lstm_folder)
    assert tiny_runs.measured(tiny(tmp_path)) == tiny_runs.measured(lstm_folder)
