"""The long-range experiment: accuracy by gap, load or length, on fixed examples, and that of a control.

An answer of several tokens is judged under teacher forcing. The exact match needs no search of its own: greedy search
finds the whole answer if and only if every token is the most likely one after the right tokens before it.
"""

import json
import math
from dataclasses import asdict
from itertools import product
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules.batch import IGNORE, Batch
from datamodules.synthetic import Axis, SyntheticData
from datamodules.tasks.agreement import Agreement
from datamodules.tasks.senses import Senses
from datamodules.tasks.task import Drawn, Point, Task
from experiments.long_range import senses
from experiments.long_range.probes import (
    KEYS,
    attention_on_answer,
    evaluating,
    gradient_reach,
    permutation_difference,
    probe,
    score_statistics,
)
from experiments.record.keys import ATTENTION, Measurement
from experiments.record.metrics import MASTERED
from experiments.record.write import write_atomically
from experiments.training.trained_run import Trained
from models import Seq2SeqModule
from models.network import Network
from models.transformer import TransformerNetwork

ROWS = 100  # examples evaluated at once
PROBED = 800  # sentences, half of them to fit the probe
DISTANCES = {round(2 ** (half / 2)) for half in range(21)}  # 1, 1.4, 2 .. 1024, rounded: enough for a curve

HEAD_WIDTHS = (4, 8, 16, 32, 64, 128, 256)


class ControlAccuracy(Callback):
    """Accuracy on the control at each validation, and the step at which it was mastered first."""

    def __init__(self, data: SyntheticData) -> None:
        self.task = data.task
        self.batch = data.examples("val", data.control, data.test_examples)
        self.mastered_at: int | None = None

    def on_validation_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        accuracy = float(right_share(module.network, self.batch, self.task).mean())
        module.log("val/control_accuracy", accuracy, reduce_fx="max", sync_dist=True)  # all have the same
        if accuracy >= MASTERED and self.mastered_at is None:
            self.mastered_at = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        return {"mastered_at": self.mastered_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.mastered_at = state_dict["mastered_at"]


class ProbesAtInitialisation(Callback):
    """The probes of an untrained network, before its first step."""

    def __init__(self, data: SyntheticData) -> None:
        self.data = data
        self.rows: list[Measurement] = []

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        if not self.rows:
            self.rows = probes(module.network, self.data, "at initialisation")

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [asdict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [Measurement(**row) for row in state_dict["rows"]]


def callbacks(data: SyntheticData) -> list[Callback]:
    """Measurements during the training on a long-range task."""
    return [ControlAccuracy(data), ProbesAtInitialisation(data)]


def longest(data: SyntheticData) -> tuple[int, str]:
    """Tokens of the longest sequence in training and evaluation, and what it is."""
    points = [data.control, *data.points, *(point for axis in data.test for point in axis.points().values())]
    found = []
    for point in points:
        batch = data.examples("test", point, data.test_examples)
        tokens = max(batch.source.shape[1], batch.decoder_input.shape[1])
        found.append((tokens, "an example at " + ", ".join(f"{name} {value}" for name, value in point.items())))
    return max(found)


def evaluate_run(run: Trained[SyntheticData]) -> None:
    """Measure a trained run and write its result.json, last."""
    run.use(run.checkpoint["state_dict"])
    rows = [*run.cost(), run.validation_loss(), *control(run), *run.callback(ProbesAtInitialisation).rows]
    rows += probes(run.module.network, run.data, "trained")
    rows += [*order_sensitivity(run), *softmax_saturation(run)]
    for axis in run.data.test:
        for value, point in axis.points().items():
            rows += at_point(run, axis, value, point)
    data = run.data
    if data.training_examples:
        rows.append(Measurement("training_examples", data.training_examples, "examples", 1))
    if isinstance(data.task, Senses):
        maps = senses.attention_records(run.module.network)
        write_atomically(run.key.folder / ATTENTION, json.dumps(maps, ensure_ascii=False))
    held_equal = {
        "data order seed": data.seed,
        "examples per batch": data.rows,
        "trained on": "; ".join(grid_text(grid) for grid in run.config["data"]["init_args"]["train"]),
        "curriculum": f"{data.curriculum_steps} batches" if data.curriculum_steps else "none",
    }
    run.record(rows, held_equal, {})
    print(f"{run.key.folder}: " + "; ".join(shown(rows, axis) for axis in data.test))


def grid_text(grid: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} {' '.join(map(str, values))}" for name, values in grid.items())


def shown(rows: list[Measurement], axis: Axis) -> str:
    found = [f"{m.x}: {m.value:.2f}" for m in rows if m.metric == "token_accuracy" and m.x_name == axis.name]
    return f"accuracy by {axis.name} {'  '.join(found)}"


def control(run: Trained[SyntheticData]) -> list[Measurement]:
    """Accuracy on the control, and when it was mastered."""
    data = run.data
    batch = data.examples("test", data.control, data.test_examples)
    accuracy = float(right_share(run.module.network, batch, data.task).mean())
    point = ", ".join(f"{name} {value}" for name, value in data.control.items())
    rows = [Measurement("control_accuracy", accuracy, "share", data.test_examples, "control", point)]
    mastered_at = run.callback(ControlAccuracy).mastered_at
    if mastered_at is not None:
        rows.append(Measurement(f"steps_to_{MASTERED}", mastered_at, "steps", 1))
    return rows


def probes(network: Network, data: SyntheticData, when: str) -> list[Measurement]:
    """Gradient reach by distance, entropy of attention and, for agreement, how far the subject stays decodable."""
    axis = data.test[0]
    trained = [point for point in axis.points().values() if data.in_distribution(point)]
    point = trained[-1] if trained else data.control
    batch = data.examples("test", point, ROWS)
    reach = gradient_reach(network, on_device(network, batch))
    kept = {d: norm for d, norm in reach.items() if d in DISTANCES or d == len(reach)}
    name = f"distance, {when}"
    rows = [Measurement("gradient_reach", norm, "norm", ROWS, name, d) for d, norm in kept.items()]
    rows += attention_entropy(network, batch, when)
    if isinstance(data.task, Agreement):
        rows += subject_probe(network, data.task, data.examples("test", point, PROBED), when)
    return rows


@torch.no_grad()
def attention_entropy(network: Network, batch: Batch, when: str) -> list[Measurement]:
    """Mean entropy of each layer's attention to the source, in nats: log S where even, 0 where saturated."""
    batch = on_device(network, batch)
    with evaluating(network):
        maps = network.attention(network.encode(batch.source), batch.decoder_input)
    scored = batch.labels != IGNORE
    rows = []
    for layer, weights in maps.items():  # (B, h, T, S)
        entropy = torch.special.entr(weights.double()).sum(-1).transpose(1, 2)[scored].mean()
        rows.append(Measurement("attention_entropy", float(entropy), "nats", ROWS, f"layer, {when}", layer))
    return rows


def softmax_saturation(run: Trained[SyntheticData]) -> list[Measurement]:
    """Entropy and gradient of a softmax over random scores by head size, with 1 / sqrt(d) and without."""
    if not isinstance(run.module.network, TransformerNetwork):
        return []
    rows = []
    for scaled, width in product((True, False), HEAD_WIDTHS):
        found = score_statistics(width, scaled, torch.Generator().manual_seed(0))
        name = f"head size, {'scaled' if scaled else 'unscaled'}"
        rows.append(Measurement("score_entropy", found.entropy, "nats", KEYS, name, width))
        rows.append(Measurement("score_gradient", found.gradient_norm, "norm", KEYS, name, width))
    return rows


def subject_probe(network: Network, task: Agreement, batch: Batch, when: str) -> list[Measurement]:
    """How much of the subject is linearly decodable from the encoder's state after it and after each further word."""
    source = on_device(network, batch).source
    subjects = torch.from_numpy(task.head_noun(batch.source.numpy())).to(source.device)
    name = f"words read, {when}"
    return [
        Measurement(metric, value, "share", p.n, name, p.words_read)
        for p in probe(network, source, subjects)
        for metric, value in (("probe_accuracy", p.accuracy), ("probe_chance", p.chance))
    ]


def order_sensitivity(run: Trained[SyntheticData]) -> list[Measurement]:
    """How much a Transformer's output depends on the order of the source."""
    network = run.module.network
    if not isinstance(network, TransformerNetwork):
        return []
    point = next(iter(run.data.test[0].points().values()))
    batch = on_device(network, run.data.examples("test", point, ROWS))
    change = permutation_difference(network, batch, torch.Generator().manual_seed(0))
    return [Measurement("permutation_difference", change, "probability", ROWS)]


def at_point(run: Trained[SyntheticData], axis: Axis, value: int, point: Point) -> list[Measurement]:
    """Everything measured at one value of an axis."""
    data, network = run.data, run.module.network
    n = data.test_examples
    batch = data.examples("test", point, n)
    share = right_share(network, batch, data.task)
    error = float(share.std()) / math.sqrt(n)
    measured = {
        "token_accuracy": (float(share.mean()), "share", n),
        "token_accuracy_error": (error, "share", n),
        "exact_match": (float((share == 1).double().mean()), "share", n),
        "trained": (float(data.in_distribution(point)), "flag", n),
        **{f"chance: {name}": (chance, "share", 1) for name, chance in data.task.chance(point).items()},
    }
    if data.task.values is not None:
        measured["squared_error"] = (squared_error(network, batch, data.task), "squared sum", n)
        measured["chance squared error: the mean"] = (variance(batch, data.task), "squared sum", n)
    if isinstance(data.task, Agreement):
        measured["chance: never sees the subject"] = (data.task.without_subject(point, data.points), "share", 1)
        measured["subject_flip"] = (subject_flip(network, data.task, batch), "share", n)
    if isinstance(data.task, Senses):
        measured |= senses.measured(network, on_device(network, data.examples("test", point, PROBED)))
    first = on_device(network, batch.of(lambda field: field[:ROWS]))
    found = attention_on_answer(network, first) if data.shared_vocabulary else None
    if found is not None:
        measured["attention_on_answer"] = (found, "share", len(first.source))
    return [Measurement(metric, *content, axis.name, value) for metric, content in measured.items()]


@torch.no_grad()
def right_share(network: Network, batch: Batch, task: Task) -> Tensor:
    """(B,) share of each example's scored positions that are answered right, teacher forced."""
    shares = []
    for source, decoder_input, labels in parts(network, batch):
        logits = network(source, decoder_input)  # (B, T, V)
        scored = labels != IGNORE
        if task.values is None:
            right = logits.argmax(-1) == labels
        else:
            right = errors(logits, labels, task).abs() <= task.tolerance
        shares.append((right & scored).sum(1).double() / scored.sum(1))
    return torch.cat(shares).cpu()


def subject_flip(network: Network, task: Agreement, batch: Batch) -> float:
    """Share of sentences answered right with their subject in either number, all other words the same."""
    flipped = task.with_other_subject(Drawn(*(field.numpy() for field in batch[:3])))
    other = batch._replace(source=torch.from_numpy(flipped.source), labels=torch.from_numpy(flipped.labels))
    both = right_share(network, batch, task) * right_share(network, other, task)
    return float(both.mean())


@torch.no_grad()
def squared_error(network: Network, batch: Batch, task: Task) -> float:
    """Mean squared error over the scored positions of a regression."""
    found = [
        errors(network(source, decoder_input), labels, task)[labels != IGNORE]
        for source, decoder_input, labels in parts(network, batch)
    ]
    return float(torch.cat(found).square().mean())


def errors(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Mean of the predicted distribution (B, T, V) over a regression's values, minus the label's value: (B, T)."""
    values = torch.as_tensor(task.values, device=logits.device)
    return logits.double().softmax(-1) @ values - values[labels.clamp_min(0)]


def variance(batch: Batch, task: Task) -> float:
    """The squared error of always answering the mean of these very labels."""
    values = torch.as_tensor(task.values)
    return float(values[batch.labels[batch.labels != IGNORE]].var(correction=0))


def parts(network: Network, batch: Batch) -> list[tuple[Tensor, ...]]:
    """Sources, decoder inputs and labels of at most ROWS examples each."""
    return list(zip(*(field.split(ROWS) for field in on_device(network, batch)[:3]), strict=True))


def on_device(network: Network, batch: Batch) -> Batch:
    """The batch where the network is."""
    device = next(network.parameters()).device
    return batch.of(lambda field: field.to(device))
