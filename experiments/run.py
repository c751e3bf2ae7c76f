"""One run: train a model, choose its best checkpoint on validation data, measure that one, record the numbers.

    C=experiments/configs/bleu/quick
    python -m experiments.run -c $C/common.yaml -c $C/lstm.yaml \\
        --run.suite quick --run.experiment bleu --run.task embedded-en-de --run.model lstm
"""

import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
from filelock import FileLock, Timeout
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datamodules import SyntheticData, TranslationData
from experiments.launch.exit_codes import BUSY
from experiments.long_range import experiment as long_range
from experiments.planning.yaml_files import PlainConfig, one_sentence, read_yaml
from experiments.record.keys import RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import remove_halves, write_atomically, write_failure
from experiments.tracking.logger import publish, wandb_logger
from experiments.training.callbacks import Clock, LocalRecord, Progress, ReturnMemory
from experiments.training.checkpoints import BEST, read_checkpoint, resume_from
from experiments.training.device_processes import (
    Failure,
    by_the_first,
    count_to_start,
    end_with_parent,
    is_first,
    join,
    leave,
    run_in_processes,
    started_here,
    tell,
)
from experiments.training.quiet import quiet
from experiments.training.trained_run import Trained
from experiments.training.trainer import TrainerSettings, build_trainer, fit, hardware
from experiments.translation import experiment as bleu
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
    parser.add_argument("-c", "--config", action=PlainConfig, help="YAML file; later files override earlier ones")
    parser.add_class_arguments(RunKey, "run")
    parser.add_subclass_arguments(Seq2SeqModule, "model", required=True)
    parser.add_subclass_arguments((TranslationData, SyntheticData), "data", required=True)
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


PATIENCE = 20.0  # seconds to wait for that process
BOUND = "RUN_ENDS_WITH_ITS_LAUNCHER"  # environment variable: standard input is a pipe that the launcher holds open


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the arguments describe, unless its result is already there."""
    quiet()
    if os.environ.pop(BOUND, ""):  # not for the processes that this one starts: they end with it
        threading.Thread(target=end_with_launcher, daemon=True).start()
    if started_here():
        end_with_parent()
    parser = build_parser()
    try:
        config = parser.parse_args(None if arguments is None else list(arguments))
    except ArgumentError as error:
        raise SystemExit(f"error: {one_sentence(error)}; see --help") from None
    key = RunKey(**config.run.as_dict())
    try:
        with alone(key):
            if settled(key, config):
                print(f"finished already: {key.folder}")
            else:
                run_and_tell(parser, config, key, sys.argv[1:] if arguments is None else arguments)
    except OSError as error:  # of the lock itself
        raise SystemExit(f"error: {of_the_system(error)}") from error


def end_with_launcher() -> None:
    """Ask this process to end when the one that started it is no more, however it died."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def alone(key: RunKey) -> Iterator[None]:
    """Keep other processes from the run's folder until the block ends, however it ends.

    One that was told to end a moment ago, because its suite was killed, is waited for.
    Only the first of several devices' processes asks: the others were started by it, or beside it.
    """
    if started_here() or rank_zero_only.rank:  # type: ignore[attr-defined]
        yield
        return
    key.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(key.folder.with_name(f".{key.folder.name}.lock"))
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        print(f"{key.folder} is being run by another process; nothing was changed.", file=sys.stderr)
        raise SystemExit(BUSY) from None
    try:
        yield
    finally:
        lock.release()


def run_and_tell(parser: ArgumentParser, config: Namespace, key: RunKey, arguments: Sequence[str]) -> None:
    """Run, in a process for each device, and say or record what kept it from its end."""
    began = time.time()
    try:
        accelerator, devices = hardware(TrainerSettings(**config.trainer.as_dict()))
        if count := count_to_start(devices, config.trainer.num_nodes):
            run_in_processes(count, arguments)
        else:
            join(accelerator)
            run(parser, config, key)
    except (KeyboardInterrupt, SystemExit, SIGTERMException) as interruption:  # Lightning makes an exit of Ctrl-C
        if not started_here():
            print(f"interrupted; the same command goes on from {key.folder / 'checkpoints'}", file=sys.stderr)
        raise SystemExit(143 if isinstance(interruption, SIGTERMException) else 130) from None
    except Exception as error:
        failure = failure_of(error)
        if started_here():
            tell(failure)
            raise SystemExit(1) from None
        record_failure(key, failure, arguments, began)
        if failure.expected:
            raise SystemExit(f"error: {failure.message}") from error
        if isinstance(error, Failure):
            print(failure.trace or failure.error, file=sys.stderr)
            raise SystemExit(1) from None
        raise


def failure_of(error: Exception) -> Failure:
    """What went wrong here, or in the process that failed first."""
    if isinstance(error, Failure):
        return error
    said = of_the_system(error) if isinstance(error, OSError) else str(error)
    return Failure(type(error).__name__, said, traceback.format_exc(), isinstance(error, (ValueError, OSError)))


def record_failure(key: RunKey, failure: Failure, arguments: Sequence[str], began: float) -> None:
    """Write failure.json, unless another process of this very run has: it failed first."""
    record = key.folder / "failure.json"
    if record.exists() and record.stat().st_mtime >= began:
        return
    try:
        write_failure(key, failure.error, failure.trace, arguments)
    except OSError as second:  # a full disk takes no record of its being full
        print(f"the failure could not be recorded: {second}", file=sys.stderr)


def of_the_system(error: OSError) -> str:
    """What the system refused, with the remedy where there is one."""
    remedies = {
        errno.ENOSPC: "free some space",
        errno.EDQUOT: "free some space of your quota",
        errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
        errno.EROFS: "make the folder writable, or run in a copy of the project elsewhere",
        errno.EACCES: "make the folder writable, or run in a copy of the project elsewhere",
    }
    if error.errno not in remedies:
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{where}: {remedies[error.errno]}; the same command goes on from the last checkpoint."


def finished(arguments: Sequence[str]) -> bool:
    """Whether the run that these arguments describe has its result; a description with mistakes has none."""
    try:
        config = build_parser().parse_args(list(arguments))
    except ArgumentError:
        return False
    return settled(RunKey(**config.run.as_dict()), config)


def settled(key: RunKey, config: Namespace) -> bool:
    """Whether the run has its result; a failure that is still recorded, because a kill came in between, then goes."""
    if not is_finished(key.folder, config_hash(identity(config))):
        return False
    (key.folder / "failure.json").unlink(missing_ok=True)
    return True


def run(parser: ArgumentParser, config: Namespace, key: RunKey) -> None:
    """Train, evaluate and record one run, together with the processes of other devices."""
    started = datetime.now(UTC)
    L.seed_everything(key.seed, workers=True, verbose=False)
    built = build(parser, config)
    module, data, settings = built.model, built.data, built.trainer
    describes = identity(config)
    checkpoint = by_the_first(lambda: prepare(key, config, parser.dump(config, skip_unset=False), module))

    clock = Clock()
    mirror = wandb_logger(key, describes, clock) if is_first() else None
    loggers = [LocalRecord(key.folder / "metrics.jsonl", clock), *([mirror] if mirror else [])]
    if isinstance(data, TranslationData):
        watching = bleu.callbacks(data, built.decoding, config.validation_sentences)
    else:
        watching = long_range.callbacks(data)
    progress = Progress(clock, f"{key.task} {key.model} {key.variant} seed {key.seed}")
    trainer = build_trainer(settings, key.folder, loggers, [clock, ReturnMemory(), *watching, progress])
    fit(trainer, module, data, checkpoint)
    leave()
    if trainer.is_global_zero:
        whole = parser.instantiate(config).model if settings.strategy == "fsdp" else module
        trained: Trained[Any] = Trained(key, describes, trainer, whole, data, built.decoding, clock, started)
        measure(trained, built.evaluate_tests)
        publish(mirror, key)


def build(parser: ArgumentParser, config: Namespace) -> Namespace:
    """Everything that a configuration describes.

    Raises:
        ValueError: If a value of it cannot be.
    """
    try:
        return parser.instantiate(config)
    except (ArgumentError, ValueError) as error:
        raise ValueError(one_sentence(error)) from error
    except TypeError as error:
        raise ValueError(f"the configuration has a value of a wrong kind, null for example: {error}.") from error


def prepare(key: RunKey, config: Namespace, dumped: str, module: Seq2SeqModule) -> Path | None:
    """Make the run's folder that of this configuration; return the checkpoint that training goes on from."""
    _forget_other_configuration(key.folder, config_hash(identity(config)))
    write_atomically(key.folder / "config.yaml", dumped)
    _keep_trials(key.folder, [Path(str(path)) for path in config.config or []])
    return resume_from(key.folder / "checkpoints", type(module).__name__)


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
        ValueError: If the checkpoint is not whole, belongs to another model, or holds more than tensors and plain
            values, or the configuration does not describe a run.
    """
    config_file, checkpoint = folder / "config.yaml", folder / "checkpoints" / BEST
    for path in (config_file, checkpoint):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: train this run first.")
    parser = build_parser()
    try:
        built = build(parser, parser.parse_object(read_yaml(config_file)))
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"{config_file} does not describe a run: {one_sentence(error)}") from error
    load_weights(built.model, checkpoint)
    return built.model.eval(), built.data, built.decoding


def load_weights(module: Seq2SeqModule, checkpoint: Path) -> dict[str, Any]:
    """Load a checkpoint's weights (the average, where there is one); return the whole checkpoint."""
    content = read_checkpoint(checkpoint, type(module).__name__)
    try:
        module.load_state_dict(content["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{checkpoint} does not fit its configuration: {one_sentence(error)}") from error
    return content


def _keep_trials(folder: Path, configs: Sequence[Path]) -> None:
    """Put the trials that the configuration's values were chosen from beside what they led to."""
    for trials in (path.with_suffix(".trials.json") for path in configs):
        if trials.exists():
            write_atomically(folder / "trials.json", trials.read_text(encoding="utf-8"))


def _forget_other_configuration(folder: Path, current: str) -> None:
    """Move a folder aside whose checkpoints were trained with another configuration; nothing is deleted."""
    mark = folder / "config_hash"
    if mark.exists() and mark.read_text() != current:
        aside = folder.with_name(f"until-{time.strftime('%Y%m%d-%H%M%S')}-{folder.name}")
        folder.rename(aside)
        print(f"the configuration changed; the earlier run is now {aside}", file=sys.stderr)
    remove_halves(folder)
    write_atomically(mark, current)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
