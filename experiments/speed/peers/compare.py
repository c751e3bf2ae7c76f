"""JoeyNMT's two models, ours and the textbook's, interleaved on the same text, sizes, token budget and threads.

python -m experiments.speed.peers.compare --suite full
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import TranslationData
from experiments.launch import command_line, receipts
from experiments.launch.provenance import machine
from experiments.speed.peers import sizes
from experiments.speed.peers.installation import ENVIRONMENT, CannotInstall, build_environment
from experiments.speed.peers.joeynmt_files import DECODING_TOKENS, write_config, write_text
from experiments.speed.peers.protocol import Worker, WorkerFailed
from experiments.speed.record import Rows, Task
from experiments.speed.systems import System
from experiments.training.decode import bleu
from experiments.training.environment import environment
from models.kernels.matmul_backend import onednn_is_exact

TRANSLATING = ("fp32", "joeynmt")  # variants whose beam search is timed: bf16 decodes in 32 bits too
HERE = Path(__file__).parents[3]
# The code that a measurement depends on: all that runs between the first batch and the last hypothesis.
CODE = (
    "models",
    "datamodules",
    "experiments/speed/peers",
    "experiments/speed/loops.py",
    "experiments/configs/language/full",
    "experiments/training",
)


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        updates: Updates in a block.
        rounds: Blocks of each variant that count.
        warm_up: Blocks before them that do not.
        lessons: Further blocks of what is to translate: hypotheses of a model that knows little do not end.
        translations: Passes over the test set.
    """

    updates: int = 10
    rounds: int = 5
    warm_up: int = 1
    lessons: int = 20
    translations: int = 2


@dataclass
class Measured:
    """All answers of one variant."""

    parameters: int
    name: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    translations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> list[float]:
        return [block["target_tokens"] / block["seconds"] for block in self.blocks]

    @property
    def sentences_per_second(self) -> list[float]:
        return [len(each["hypotheses"]) / each["seconds"] for each in self.translations]

    @property
    def padding_share(self) -> float:
        return 1 - sum(b["tokens"] for b in self.blocks) / sum(b["positions"] for b in self.blocks)


def main(
    suite: str = "full", models: str = "", plan: Plan = Plan(), cache_dir: str = ".cache", root: str = "runs"
) -> None:
    """Compare, and write one record for each model and variant.

    Args:
        suite: Folder of the record.
        models: transformer, bahdanau or both; empty: both.
        plan: How much to measure.
        cache_dir: Folder of JoeyNMT's copy of the text, and of the logs.
        root: Folder of the run store.
    """
    left = []
    for model in models.split() or sizes.SYSTEMS:
        if model not in sizes.SYSTEMS:
            raise SystemExit(f"error: MODELS names {model!r}; the peers have {' and '.join(sizes.SYSTEMS)}.")
        if task_of(suite, model, plan, root).finished():
            print(f"already measured with this code on this machine: peers of the {model}", flush=True)
        else:
            left.append(model)
    if not left:
        return
    data = sizes.multi30k()
    folder = Path(cache_dir, "peers").absolute()
    try:
        data.text("train")
        python = build_environment(ENVIRONMENT)
        write_text(data, folder)
        for model in left:
            compare(model, plan, data, python, folder, suite, root)
    except CannotInstall as reason:
        print(f"skipped: JoeyNMT could not be installed, so nothing was compared with it ({reason})", flush=True)
    except (FileNotFoundError, WorkerFailed) as error:
        raise SystemExit(f"error: {error}") from None


def task_of(suite: str, model: str, plan: Plan, root: str) -> Task:
    """The comparison of one model."""
    configs = {
        variant: {
            "model": {
                "network": asdict(sizes.network(model, sizes.dropout_of(variant))),
                "optimisation": asdict(sizes.OPTIMISATION),
            },
            "decoding": asdict(sizes.DECODING),
            "plan": asdict(plan),
        }
        for variant in sizes.SYSTEMS[model]
    }
    return peers_task(suite, sizes.TASK, model, configs, root)


def peers_task(suite: str, name: str, model: str, configs: Mapping[str, Mapping[str, Any]], root: str) -> Task:
    """A comparison whose records depend on these settings, by variant, and on code and machine."""
    where = {"code": fingerprint(), "machine": {fact: value for fact, value in machine().items() if fact != "threads"}}
    whole = {f"{model}-{variant}": {**config, **where} for variant, config in configs.items()}
    command = f"make speed-peers SUITE={suite}"
    return Task(suite, name, root, {}, list(map(System, whole)), sizes.SEED, command, whole)


def fingerprint() -> str:
    """Changes with any line of code that is timed here."""
    places = [HERE / place for place in CODE]
    files = [file for path in places for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return receipts.of(*(file for file in files if file.is_file() and file.suffix != ".pyc"))[:16]


def compare(model: str, plan: Plan, data: TranslationData, python: Path, folder: Path, suite: str, root: str) -> None:
    """Start every variant, interleave their blocks, and write the records."""
    task, threads = task_of(suite, model, plan, root), os.cpu_count() or 1
    print(f"peers of the {model}: {', '.join(sizes.SYSTEMS[model])}; {threads} threads", flush=True)
    commands = {v: command_of(model, v, plan, data, python, folder) for v in sizes.SYSTEMS[model]}
    with started(model, commands, folder / f"log-{model}", threads) as (workers, measured):
        train(workers, measured, plan)
        teach(workers, plan)
        translate(workers, measured, plan)
    summary(model, measured, data)
    rows = {f"{model}-{variant}": rows_of(model, variant, found, data) for variant, found in measured.items()}
    task.write(rows, what_was_equal(plan, data, threads))


@contextmanager
def started(
    model: str, commands: Mapping[str, Sequence[str]], logs: Path, threads: int
) -> Iterator[tuple[dict[str, Worker], dict[str, Measured]]]:
    """The workers by variant until the block ends, and what is to be measured of each."""
    with ExitStack() as stack:
        workers = {}
        for variant, command in commands.items():
            log = logs.with_name(f"{logs.name}-{variant}.txt")
            worker = Worker(f"{model} {variant}", command, log, environment_of(variant, threads))
            workers[variant] = stack.enter_context(worker)
        yield workers, {variant: Measured(**worker.started) for variant, worker in workers.items()}


def environment_of(variant: str, threads: int) -> dict[str, str]:
    """As for the suite's own runs, except for JoeyNMT as its users start it."""
    given = {**environment(threads), "OMP_NUM_THREADS": str(threads)}
    if variant.endswith("-settings") and onednn_is_exact():
        given["ONEDNN_MATMUL"] = "1"
    if variant.startswith("joeynmt") and not variant.endswith("-settings"):
        del given["GLIBC_TUNABLES"]
    return given


def command_of(model: str, variant: str, plan: Plan, data: TranslationData, python: Path, folder: Path) -> list[str]:
    if variant.startswith("joeynmt"):
        dropout, name = sizes.dropout_of(variant), f"{model}-{variant}"
        config = write_config(model, dropout, data, plan.updates, name, folder)
        words = ["-W", "ignore", "-m", "experiments.speed.peers.joeynmt_worker", str(config), str(plan.updates)]
        return [str(python), *words]
    return [sys.executable, "-m", "experiments.speed.peers.our_worker", model, variant, str(plan.updates)]


def train(workers: Mapping[str, Worker], measured: Mapping[str, Measured], plan: Plan) -> None:
    """Interleaved blocks of training: A B C A B C ..."""
    begun, total = time.monotonic(), plan.warm_up + plan.rounds
    for done in range(1, total + 1):
        answers = {variant: worker.ask("train") for variant, worker in workers.items()}
        if done > plan.warm_up:
            for variant, answer in answers.items():
                measured[variant].blocks.append(answer)
        rates = "  ".join(f"{v} {a['target_tokens'] / a['seconds']:,.0f}" for v, a in answers.items())
        print(f"  block {done}/{total}: {rates} target tokens/s; {time_left(begun, done, total)}", flush=True)


def teach(workers: Mapping[str, Worker], plan: Plan) -> None:
    """As many further updates for each that is to translate; nothing is timed."""
    begun, total = time.monotonic(), plan.lessons
    for done in range(1, total + 1):
        for variant in TRANSLATING:
            workers[variant].ask("train")
        print(f"  training before translation {done}/{total}: {time_left(begun, done, total)}", flush=True)


def time_left(begun: float, done: int, total: int) -> str:
    return f"{(time.monotonic() - begun) / done * (total - done) / 60:.0f} min left"


def translate(workers: Mapping[str, Worker], measured: Mapping[str, Measured], plan: Plan) -> None:
    """Interleaved passes over the test set, none of them a warm-up: a pass is hundreds of steps long."""
    for done in range(1, plan.translations + 1):
        for variant in TRANSLATING:
            answer = workers[variant].ask("translate")
            measured[variant].translations.append(answer)
            rate = len(answer["hypotheses"]) / answer["seconds"]
            print(f"  beam search {done}/{plan.translations}: {variant} {rate:,.1f} sentences/s", flush=True)


def hypothesis_tokens(found: Measured, data: TranslationData) -> float:
    """Mean length of a hypothesis in tokens of our tokeniser, whichever system wrote it."""
    return float(np.mean([len(data.target_tokenizer.encode(text)) for text in found.translations[-1]["hypotheses"]]))


def summary(model: str, measured: Mapping[str, Measured], data: TranslationData) -> None:
    """A table of all variants."""
    print(f"{model:18} parameters  padding  target tokens/s  sentences/s  hypothesis tokens   BLEU")
    for variant, found in measured.items():
        rate = np.median(found.tokens_per_second)
        line = f"{variant:18} {found.parameters:10,} {found.padding_share:8.1%} {rate:16,.0f}"
        if found.translations:
            score = bleu(found.translations[-1]["hypotheses"], data.text(sizes.TEST_SET).target, sizes.TARGET)
            rate, length = np.median(found.sentences_per_second), hypothesis_tokens(found, data)
            line += f" {rate:12,.1f} {length:18.1f} {score:6.1f}"
        print(line, flush=True)
    fewer = 1 - measured["joeynmt"].parameters / measured["fp32"].parameters
    print(f"JoeyNMT's has {fewer:.1%} fewer parameters than ours: {sizes.DIFFERS[model]}", flush=True)


def rows_of(model: str, variant: str, found: Measured, data: TranslationData) -> Rows:
    """Measurements, and one block per round with its rate and the seconds per update or per sentence."""
    rows = Rows(kernels=signatures(model, variant, found))
    rows.add("parameters", found.parameters, "parameters")
    rows.add("padding_share", found.padding_share, "share", n=len(found.blocks))
    rows.add_spread("target_tokens_per_second", found.tokens_per_second, "tokens/s")
    seconds = [answer["seconds"] / answer["updates"] for answer in found.blocks]
    if found.translations:
        rows.add_spread("sentences_per_second", found.sentences_per_second, "sentences/s")
        seconds += [answer["seconds"] / len(answer["hypotheses"]) for answer in found.translations]
        sentences = len(found.translations[-1]["hypotheses"])
        rows.add("mean_hypothesis_tokens", hypothesis_tokens(found, data), "tokens", n=sentences)
    for block, per_item in zip(rows.blocks, seconds, strict=True):
        block["seconds"] = per_item
    return rows


def what_was_equal(plan: Plan, data: TranslationData, threads: int) -> dict[str, Any]:
    return {
        "sentences": f"Multi30k {sizes.SOURCE}-{sizes.TARGET}",
        "tokenizer": f"one SentencePiece model, {data.target_vocab_size} tokens",
        "tokens per batch": data.max_tokens,
        "label smoothing": sizes.OPTIMISATION.label_smoothing,
        "gradient clipping": sizes.GRADIENT_CLIP,
        "beam size": sizes.DECODING.beam_size,
        "threads": threads,
        "updates in a block": plan.updates,
        "blocks": plan.rounds,
        "warm-up blocks": plan.warm_up,
        "updates before translating": (plan.warm_up + plan.rounds + plan.lessons) * plan.updates,
    }


def signatures(model: str, variant: str, found: Measured) -> dict[str, str]:
    """What ran, in words."""
    signed = {
        "implementation": found.name,
        "precision": "bf16-mixed" if variant == "bf16" else "32-true",
        "mode": "eager",
        "training loop": "plain loop" if variant in ("torch", "textbook") else "Trainer",
        "beam search batches": "buckets of like length",
    }
    if variant.startswith("joeynmt"):
        signed |= {"training loop": "JoeyNMT's TrainManager", "differs": sizes.DIFFERS[model]}
        signed["beam search batches"] = f"token batches of {DECODING_TOKENS}"
    return signed


if __name__ == "__main__":
    command_line.run(main, positional=True)
