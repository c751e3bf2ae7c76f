"""One run: train a model, choose its best checkpoint on validation data, measure that one, record the numbers.

`python -m experiments.run --help` shows an example and every setting.
"""

from experiments.launch import receipts  # before the other code: it takes the fingerprint of what these then read

# isort: split
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import lightning as L
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datamodules import LanguageData, SyntheticData, TranslationData
from experiments.language import experiment as language
from experiments.long_range import experiment as long_range
from experiments.planning.parser import build_parser, identity, instantiate, with_tokenizers
from experiments.planning.yaml_files import one_sentence
from experiments.record.keys import TOKENIZERS, RunKey
from experiments.tracking.logger import publish, wandb_logger
from experiments.training.callbacks import Clock, LocalRecord, Progress
from experiments.training.devices.process_group import by_the_first, count_to_start, is_first, join, leave
from experiments.training.devices.processes import pass_on, run_in_processes, started_here
from experiments.training.environment import quiet
from experiments.training.failures import Failure, modified, record_failure, run_error
from experiments.training.graceful_stop import end_with_parent
from experiments.training.run_folder import is_of, is_owner, is_settled, prepare, run_lock
from experiments.training.starting_weights import start_from
from experiments.training.trained_run import Trained
from experiments.training.trainer import TrainerSettings, build_trainer, fit, hardware
from experiments.translation import experiment as bleu
from models.positions import Learned
from models.search import Decoding


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the arguments describe, unless its result is already there."""
    quiet()
    end_with_parent()
    words = sys.argv[1:] if arguments is None else list(arguments)
    inputs, parser = receipts.of_arguments(words, receipts.AT_START), build_parser()
    try:
        config = parser.parse_args(words)
    except ArgumentError as error:
        raise SystemExit(f"error: {one_sentence(error)}; see --help") from None
    key = RunKey(**config.run.as_dict())
    try:
        with run_lock(key):
            if is_settled(config, inputs):
                print(f"finished already: {key.folder}")
            else:
                run_or_record_failure(parser, config, key, words)
                if is_owner():
                    receipts.of_run(key.folder, inputs).write()
    except OSError as error:  # of the lock itself
        raise SystemExit(f"error: {run_error(error)}") from error


def run_or_record_failure(parser: ArgumentParser, config: Namespace, key: RunKey, arguments: Sequence[str]) -> None:
    """Run, in a process for each device; print or record what kept the run from finishing."""
    recorded = modified(key)
    try:
        accelerator, devices = hardware(TrainerSettings(**config.trainer.as_dict()))
        if count := count_to_start(devices, config.trainer.num_nodes):
            run_in_processes(count, arguments)
        else:
            join(accelerator)
            run(parser, config, key)
    except (KeyboardInterrupt, SystemExit, SIGTERMException) as interruption:  # Lightning makes an exit of Ctrl-C
        if not started_here():
            print(f"interrupted; the same command resumes from {key.folder / 'checkpoints'}", file=sys.stderr)
        raise SystemExit(143 if isinstance(interruption, SIGTERMException) else 130) from None
    except Exception as error:
        failure = Failure.of(error)
        if started_here():
            pass_on(failure)
            raise SystemExit(1) from None
        record_failure(key, failure.error, failure.trace, recorded)
        if failure.expected:
            raise SystemExit(f"error: {failure.message}") from error
        if isinstance(error, Failure):
            print(failure.trace or failure.error, file=sys.stderr)
            raise SystemExit(1) from None
        raise


def run(parser: ArgumentParser, config: Namespace, key: RunKey) -> None:
    """Train, evaluate and record one run, together with the processes of other devices."""
    started = datetime.now(UTC)
    L.seed_everything(key.seed, workers=True, verbose=False)
    describes, dumped = identity(config), parser.dump(config, skip_unset=False)
    if is_of(key.folder, describes):  # weights that training resumes from know these ids
        config = with_tokenizers(config, key.folder / TOKENIZERS)
    built = instantiate(parser, config)
    module, data, settings = built.model, built.data, built.trainer
    for positions in (part for part in module.modules() if isinstance(part, Learned)):
        positions.check(*longest(data, built.decoding))
    tokenizers = data.serialised_tokenizers() if isinstance(data, TranslationData) else {}
    checkpoint = by_the_first(lambda: prepare(key, config, dumped, tokenizers, type(module).__name__))

    if config.starts_from and checkpoint is None:
        start_from(module, key, config.starts_from)
    clock = Clock()
    wandb = wandb_logger(key, describes, clock) if is_first() else None
    loggers = [LocalRecord(key.folder / "metrics.jsonl", clock), *([wandb] if wandb else [])]
    if isinstance(data, TranslationData):
        if is_first():
            bleu.announce(data)
        measures = bleu.callbacks(data, built.decoding, config.validation_sentences)
    else:
        measures = long_range.callbacks(data) if isinstance(data, SyntheticData) else []
    progress = Progress(clock, f"{key.task} {key.model} {key.variant} seed {key.seed}")
    trainer = build_trainer(settings, key.folder, loggers, [clock, *measures, progress])
    fit(trainer, module, data, checkpoint)
    leave()
    if trainer.is_global_zero:
        whole = parser.instantiate(config).model if settings.strategy == "fsdp" else module
        trained: Trained[Any] = Trained(key, describes, trainer, whole, data, built.decoding, clock, started)
        measure(trained, built.evaluate_tests)
        publish(wandb, key)


def longest(data: L.LightningDataModule, decoding: Decoding) -> tuple[int, str]:
    """Tokens of the longest sequence that a network will meet, and what it is."""
    if isinstance(data, TranslationData):
        return bleu.longest(data, decoding)
    if isinstance(data, LanguageData):
        return data.context, "a piece of text (data.context)"
    assert isinstance(data, SyntheticData)
    return long_range.longest(data)


def measure(trained: Trained[Any], evaluate_tests: bool) -> None:
    """Make the measurements of the run's experiment and write its record."""
    if not evaluate_tests:
        trained.use(trained.checkpoint["state_dict"])
        trained.record([*trained.cost(), trained.validation_loss()], {}, {})
    elif isinstance(trained.data, TranslationData):
        bleu.evaluate_run(trained)
    elif isinstance(trained.data, LanguageData):
        language.evaluate_run(trained)
    else:
        long_range.evaluate_run(trained)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
