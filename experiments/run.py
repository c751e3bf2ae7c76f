"""One run: train a model, choose its best checkpoint on validation data, measure that one, record the numbers.

    C=experiments/configs/bleu/quick
    python -m experiments.run -c $C/common.yaml -c $C/lstm.yaml \\
        --run.suite quick --run.experiment bleu --run.task embedded-en-de --run.model lstm
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from filelock import FileLock, Timeout
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datamodules import SyntheticData, TranslationData
from experiments import bleu, long_range
from experiments.callbacks import Clock, LocalRecord, Progress, ReturnMemory
from experiments.quiet import quiet
from experiments.store import RunKey, config_hash, is_finished, write_atomically, write_failure
from experiments.tracking import publish, wandb_logger
from experiments.trained import Trained
from experiments.trainer import TrainerSettings, build_trainer, fit
from models import Seq2SeqModule
from models.search import Decoding

# What may change without changing a run's numbers.
NOT_PART_OF_THE_EXPERIMENT = (
    "config",
    "run.root",
    "run.command",
    "data.init_args.data_dir",
    "data.init_args.cache_dir",
)


def build_parser() -> ArgumentParser:
    """Every key of a configuration is an argument of a class: `--help` shows their docstrings."""
    parser = ArgumentParser(
        prog="python -m experiments.run", description=__doc__, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file; later files override earlier ones")
    parser.add_class_arguments(RunKey, "run")
    parser.add_subclass_arguments(Seq2SeqModule, "model")
    parser.add_subclass_arguments((TranslationData, SyntheticData), "data")
    parser.add_class_arguments(TrainerSettings, "trainer")
    parser.add_class_arguments(Decoding, "decoding")
    parser.add_argument("--validation_sentences", type=int, default=1000, help="decoded greedily at each validation")
    parser.add_argument(
        "--evaluate_tests", type=bool, default=True, help="false: train and validate only, as trials of tuning do"
    )
    parser.link_arguments("run.seed", "data.init_args.seed")
    for vocabulary in ("source_vocabulary", "target_vocabulary", "shared_vocabulary"):
        attribute = vocabulary.replace("vocabulary", "vocab_size") if vocabulary != "shared_vocabulary" else vocabulary
        parser.link_arguments(f"data.{attribute}", f"model.init_args.{vocabulary}", apply_on="instantiate")
    return parser


def identity(config: Namespace) -> dict[str, Any]:
    """The part of a configuration that decides a run's numbers."""
    kept = config.clone()
    for name in NOT_PART_OF_THE_EXPERIMENT:
        kept.pop(name, None)
    return kept.as_dict()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the arguments describe, unless its result is already there."""
    quiet()
    parser = build_parser()
    try:
        config = parser.parse_args(None if arguments is None else list(arguments))
    except ArgumentError as error:
        raise SystemExit(f"error: {one_sentence(error)}; see --help") from None
    key = RunKey(**config.run.as_dict())
    with alone(key):
        if is_finished(key.folder, config_hash(identity(config))):
            print(f"finished already: {key.folder}")
        else:
            run_and_tell(parser, config, key)


@contextmanager
def alone(key: RunKey) -> Iterator[None]:
    """Keep other processes from the run's folder until the block ends, however it ends.

    Only the first of several devices' processes asks: the others were started by it, or beside it.
    """
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        yield
        return
    key.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(key.folder.with_name(f".{key.folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SystemExit(f"error: {key.folder} is being run by another process; nothing was changed.") from None
    try:
        yield
    finally:
        lock.release()


def run_and_tell(parser: ArgumentParser, config: Namespace, key: RunKey) -> None:
    """Run, and say or record what kept it from its end."""
    try:
        run(parser, config, key)
    except (KeyboardInterrupt, SystemExit, SIGTERMException) as interruption:  # Lightning makes an exit of Ctrl-C
        print(f"interrupted; the same command goes on from {key.folder / 'checkpoints'}", file=sys.stderr)
        raise SystemExit(143 if isinstance(interruption, SIGTERMException) else 130) from None
    except Exception as error:
        write_failure(key, f"{type(error).__name__}: {error}", traceback.format_exc(), key.log)
        if isinstance(error, (ValueError, FileNotFoundError)):
            raise SystemExit(f"error: {error}") from error
        raise


def finished(arguments: Sequence[str]) -> bool:
    """Whether the run that these arguments describe has its result; a description with mistakes has none."""
    try:
        config = build_parser().parse_args(list(arguments))
    except ArgumentError:
        return False
    return is_finished(RunKey(**config.run.as_dict()).folder, config_hash(identity(config)))


def one_sentence(error: ArgumentError) -> str:
    """What is wrong and where, without the parser's account of every alternative it tried."""
    chatter = (
        "Does not validate",
        "Subtypes:",
        "Errors:",
        "Expected a <class 'NoneType'>",
        "Given value",
        "Problem with",
    )
    lines = (line.strip().removeprefix("- ") for line in str(error).split("\n"))
    return " ".join(line for line in lines if line and not line.startswith(chatter))


def run(parser: ArgumentParser, config: Namespace, key: RunKey) -> None:
    """Train, evaluate and record one run."""
    started = datetime.now(UTC)
    L.seed_everything(key.seed, workers=True, verbose=False)
    built = parser.instantiate(config)
    module, data, settings = built.model, built.data, built.trainer
    describes = identity(config)
    _forget_other_configuration(key.folder, config_hash(describes))
    write_atomically(key.folder / "config.yaml", parser.dump(config, skip_unset=False))
    _keep_trials(key.folder, [Path(str(path)) for path in config.config or []])

    clock = Clock()
    mirror = wandb_logger(key, describes, clock)
    loggers = [LocalRecord(key.folder / "metrics.jsonl", clock), *([mirror] if mirror else [])]
    if isinstance(data, TranslationData):
        watching = bleu.callbacks(data, built.decoding, config.validation_sentences)
    else:
        watching = long_range.callbacks(data)
    progress = Progress(clock, f"{key.task} {key.model} {key.variant} seed {key.seed}")
    trainer = build_trainer(settings, key.folder, loggers, [clock, ReturnMemory(), *watching, progress])
    last = key.folder / "checkpoints" / "last.ckpt"
    _check_checkpoint(last, module)
    fit(trainer, module, data, last if last.exists() else None)
    if trainer.is_global_zero:
        trained: Trained[Any] = Trained(key, describes, trainer, module, data, built.decoding, clock, started)
        measure(trained, built.evaluate_tests)
        publish(mirror, key)


def measure(trained: Trained[Any], evaluate_tests: bool) -> None:
    """Measure what the run's experiment asks for and write its record."""
    if not evaluate_tests:
        trained.use(trained.checkpoint["state_dict"])
        trained.record([*trained.cost(), trained.validation_loss()], {}, {})
    elif isinstance(trained.data, TranslationData):
        bleu.evaluate_run(trained)
    else:
        long_range.evaluate_run(trained)


def load_module(folder: Path) -> tuple[Seq2SeqModule, TranslationData, Decoding]:
    """The trained model of a run's folder, its data and its search settings.

    Raises:
        FileNotFoundError: If the folder holds no run or no checkpoint.
        ValueError: If the checkpoint belongs to another model.
    """
    config_file, checkpoint = folder / "config.yaml", folder / "checkpoints" / "best.ckpt"
    for path in (config_file, checkpoint):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: train this run first.")
    parser = build_parser()
    built = parser.instantiate(parser.parse_object(yaml.safe_load(config_file.read_text())))
    load_weights(built.model, checkpoint)
    return built.model.eval(), built.data, built.decoding


def load_weights(module: Seq2SeqModule, checkpoint: Path) -> dict[str, Any]:
    """Load a checkpoint's weights (the average, where there is one); return the whole checkpoint."""
    _check_checkpoint(checkpoint, module)
    content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module.load_state_dict(content["state_dict"])
    return content


def _keep_trials(folder: Path, configs: Sequence[Path]) -> None:
    """Put the trials that the configuration's values were chosen from beside what they led to."""
    for trials in (path.with_suffix(".trials.json") for path in configs):
        if trials.exists():
            write_atomically(folder / "trials.json", trials.read_text(encoding="utf-8"))


def _check_checkpoint(path: Path, module: Seq2SeqModule) -> None:
    if not path.exists():
        return
    saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("model_class")
    if saved != type(module).__name__:
        raise ValueError(f"{path} is a checkpoint of {saved}, not of {type(module).__name__}: remove it or its folder.")


def _forget_other_configuration(folder: Path, current: str) -> None:
    """Move a folder aside whose checkpoints were trained with another configuration; nothing is deleted."""
    mark = folder / "config_hash"
    if mark.exists() and mark.read_text() != current:
        aside = folder.with_name(f"until-{time.strftime('%Y%m%d-%H%M%S')}-{folder.name}")
        folder.rename(aside)
        print(f"the configuration changed; the earlier run is now {aside}", file=sys.stderr)
    write_atomically(mark, current)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
