"""A run whose training has ended: what every experiment records of it, and its model loaded again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as L
import torch
from jsonargparse import ArgumentError
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules import TranslationData
from experiments.launch.provenance import provenance
from experiments.planning.parser import build_parser, instantiate, with_tokenizers
from experiments.planning.yaml_files import one_sentence, read_yaml
from experiments.record.keys import RESULT, TOKENIZERS, Measurement, RunKey
from experiments.record.read import finished_runs
from experiments.record.write import write_result
from experiments.training.callbacks import Clock, LaunchTogether
from experiments.training.checkpoints import BEST, read_checkpoint
from models import Seq2SeqModule
from models.kernels.gpu import use_equal_kernels
from models.loss import scored_logits, smoothed_cross_entropy
from models.search import Decoding

Data = TypeVar("Data", bound=L.LightningDataModule)
Measuring = TypeVar("Measuring", bound=Callback)


@dataclass
class Trained(Generic[Data]):
    """A trained model with all that describes how it came to be.

    Args:
        key: Names the run.
        config: The part of its configuration that decides its numbers.
        trainer, module, data, decoding: As they were built from it.
        clock: Time and tokens of training.
        started: When the run began.
    """

    key: RunKey
    config: dict[str, Any]
    trainer: L.Trainer
    module: Seq2SeqModule
    data: Data
    decoding: Decoding
    clock: Clock
    started: datetime

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        """The checkpoint that validation chose."""
        best = self.key.folder / "checkpoints" / BEST
        content: dict[str, Any] = torch.load(best, map_location="cpu", weights_only=True)
        return content

    def callback(self, kind: type[Measuring]) -> Measuring:
        """The callback of that kind, with what it measured."""
        (found,) = (each for each in self.trainer.callbacks if isinstance(each, kind))  # type: ignore[attr-defined]
        return found

    def use(self, weights: Mapping[str, Any]) -> None:
        """Put weights into the module, ready for evaluation."""
        self.module.load_state_dict(weights)
        self.module.eval()

    def cost(self) -> list[Measurement]:
        """What training took: size, steps, tokens, seconds."""
        parameters = sum(p.numel() for p in self.module.parameters())
        tables = {id(m.weight): m.weight.numel() for m in self.module.modules() if isinstance(m, torch.nn.Embedding)}
        tokens = int(self.clock.target_tokens)
        return [
            Measurement("parameters", parameters, "parameters", 1),
            Measurement("parameters_without_embeddings", parameters - sum(tables.values()), "parameters", 1),
            Measurement("steps", self.trainer.global_step, "steps", 1),
            Measurement("best_step", self.checkpoint["global_step"], "steps", 1),
            Measurement("target_tokens", tokens, "tokens", 1),
            Measurement("source_tokens", int(self.clock.source_tokens), "tokens", 1),
            Measurement("train_seconds", self.clock.seconds, "s", 1),
            Measurement("target_tokens_per_second", tokens / self.clock.seconds, "tokens/s", 1),
        ]

    @torch.no_grad()
    def validation_loss(self) -> Measurement:
        """Mean -log p of a validation token under the weights in use, in nats."""
        total, tokens = 0.0, 0
        for batch in self.data.val_dataloader():
            source, decoder_input, labels = (t.to(self.module.device) for t in batch[:3])
            logits, scored = scored_logits(self.module.network, source, decoder_input, labels)
            total += float(smoothed_cross_entropy(logits, scored, 0.0)) * len(scored)
            tokens += len(scored)
        return Measurement("val_loss", total / tokens, "nats", tokens)

    def record(self, rows: Iterable[Measurement], held_equal: Mapping[str, Any], signatures: Mapping[str, str]) -> None:
        """Write result.json: from here on the run is finished."""
        settings, optimisation = self.config["trainer"], self.module.optimisation
        average = f"exponential, decay {settings['ema_decay']}" if settings["ema_decay"] else "none"
        common = {
            "weights at the start": self.config["starts_from"] or "random",
            "steps": settings["max_steps"],
            "batches per step": settings["accumulate"] * self.trainer.world_size,
            "precision": self.trainer.precision,
            "weight averaging": average,
            "label smoothing": optimisation.label_smoothing,
            "learning-rate schedule": optimisation.schedule,
            "gradient clipping": settings["gradient_clip"],
            "checkpoint chosen by": settings["monitor"],
            "kernels launched": self.callback(LaunchTogether).kernels,
        }
        write_result(self.key, self.config, rows, {**held_equal, **common}, signatures, provenance(self.started))


def find_runs(root: Path, suites: Sequence[str], experiment: str) -> list[Path]:
    """Folders of the finished runs of an experiment, of the first of these suites that has any.

    Raises:
        FileNotFoundError: None of them has.
    """
    for suite in suites:
        if found := finished_runs(root, suite, experiment):
            return found
    raise FileNotFoundError(
        f"no finished run in {' or '.join(str(root / suite / experiment) for suite in suites)}: "
        f"run `make {experiment} SUITE={suites[-1]}` first."
    )


def load_module(folder: Path) -> tuple[Seq2SeqModule, TranslationData, Decoding]:
    """The model of a run's folder with its best weights (their average, if kept), its data and search settings.

    Nothing but the folder is read: the corpus only when sentences of the data are asked for.

    Raises:
        FileNotFoundError: The folder holds no run, no checkpoint or no tokenisers.
        ValueError: The checkpoint is broken, of another model, or holds more than tensors and plain values, or the
            configuration does not describe a run.
    """
    use_equal_kernels()
    config_file, checkpoint, result = folder / "config.yaml", folder / "checkpoints" / BEST, folder / RESULT
    for path in (config_file, checkpoint):
        if not path.exists():
            remedy = f"delete {result} and train this run again" if result.exists() else "train this run first"
            raise FileNotFoundError(f"{path} is not there: {remedy}.")
    parser = build_parser()
    try:
        built = instantiate(parser, with_tokenizers(parser.parse_object(read_yaml(config_file)), folder / TOKENIZERS))
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"{config_file} does not describe a run: {one_sentence(error)}") from error
    content = read_checkpoint(checkpoint, type(built.model).__name__)
    try:
        built.model.load_state_dict(content["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{checkpoint} does not fit its configuration: {one_sentence(error)}") from error
    return built.model.eval(), built.data, built.decoding


def attention_record(
    test_set: str, number: int, source: list[str], target: list[str], maps: Mapping[str, Tensor], decimals: int = 3
) -> dict[str, Any]:
    """A sentence of attention.json: its tokens, and the weights (1, h, rows, columns) of each map.

    Rows of `encoder` maps are source tokens, of all others the target tokens being written, the end included. Columns
    are source tokens, but of `decoder` maps the decoder's input: the beginning of the sentence, then all but the last
    target token.
    """
    shown = {name: weights[0].double().cpu().numpy().round(decimals).tolist() for name, weights in maps.items()}
    return {"test_set": test_set, "id": number, "source_tokens": source, "target_tokens": target, "maps": shown}
