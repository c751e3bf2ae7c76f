"""Every reader of corpora, configurations, checkpoints and records, with whole files to begin from."""

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from jsonargparse import Namespace

import experiments.planning.grid
import experiments.run
import experiments.speed.suite
from datamodules.corpora import Corpus, load_corpus
from datamodules.embedded.corpus import embedded_corpus
from datamodules.subword_tokenizer import SentencePieceTokenizer, cached_sentencepiece
from datamodules.tokenizer import TokenizerSettings
from experiments.planning.grid import Planned
from experiments.record.keys import RunKey, digest
from experiments.record.read import is_finished, read_failure, read_result
from experiments.record.write import as_lines, write_failure
from experiments.reproduce import machine_type, read_reference
from experiments.speed.cost import throughput
from experiments.tracking import logger as tracking
from experiments.tracking import publish as mirror
from experiments.tracking import sync
from experiments.training.callbacks import Clock, LocalRecord
from experiments.training.checkpoints import resume_from
from experiments.translation import remeasure, translate
from experiments.tuning import tune
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import runs as fake_runs
from tests.support.fakes import speed as fake_speed
from tests.support.fuzz.target import STORE, Target, sentence_of, tried
from tests.support.tiny_runs import CONFIGS, tiny_key, tiny_run

ROOT = Path(__file__).parents[3]
SENTENCES = [(pair.english, pair.german) for pair in embedded_corpus("test", seed=1, size=40, longest=9)]


# corpora and tokenisers


def prepare_corpus(folder: Path) -> None:
    source, target = ("".join(f"{side}\n" for side in sides) for sides in zip(*SENTENCES, strict=True))
    table = "".join(f"{s}\t{t}\tCC-BY\n" for s, t in SENTENCES)
    (folder / "train.en").write_text(source, encoding="utf-8")
    (folder / "train.de").write_text(target, encoding="utf-8")
    (folder / "val.tsv").write_text(table, encoding="utf-8")
    (folder / "first.en.gz").write_bytes(gzip.compress(source.encode()))
    (folder / "first.de.gz").write_bytes(gzip.compress(target.encode()))
    (folder / "tatoeba").mkdir()
    with zipfile.ZipFile(folder / "tatoeba" / "deu-eng.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deu.txt", table)
        archive.writestr("_about.txt", "a licence")


def read_corpora(folder: Path) -> Sequence[str]:
    names = {"train": ["train.en", "train.de"], "val": ["val.tsv"], "first": ["first.en.gz", "first.de.gz"]}
    files = {split: [str(folder / name) for name in some] for split, some in names.items()}
    said = []
    for corpus in (Corpus("files", files=files), Corpus("tatoeba")):
        try:
            for text in load_corpus(corpus, folder).values():
                assert len(text.source) == len(text.target)
        except (ValueError, FileNotFoundError) as error:
            said.append(sentence_of(error))
    return said


def prepare_tokenizer(folder: Path) -> None:
    cached_sentencepiece([s for s, _ in SENTENCES], TokenizerSettings(vocab_size=60), folder)


def read_tokenizer(folder: Path) -> Sequence[str]:
    def read() -> None:
        model = cached_sentencepiece([s for s, _ in SENTENCES], TokenizerSettings(vocab_size=60), folder)
        tokenizer = SentencePieceTokenizer(model)
        tokenizer.decode(tokenizer.encode(SENTENCES[0][0]))
        tokenizer.decode(list(range(len(tokenizer))))
        assert len(tokenizer) == 60

    return tried(read)


# configurations and checkpoints


def prepare_configs(folder: Path) -> None:
    for name in ("common", "lstm", "transformer"):
        shutil.copy(CONFIGS / f"{name}.yaml", folder)
    fake_runs.write_json(folder / "trials.json", fake_long_range.trials_of())


def read_config(folder: Path) -> Sequence[str]:
    """As `python -m experiments.run` does, up to the training."""

    def only_describe(parser: Any, config: Namespace, key: Any) -> None:
        parser.dump(config, skip_unset=False)

    said = []
    for model in ("lstm", "transformer"):
        names = [
            word for name in ("common.yaml", f"{model}.yaml", "trials.json") for word in ("-c", str(folder / name))
        ]
        run = {"suite": "s", "experiment": "e", "task": "t", "model": model, "root": folder / "runs"}
        with patch.object(experiments.run, "run", only_describe):
            try:
                experiments.run.main([*names, *(f"--run.{key}={value}" for key, value in run.items())])
            except SystemExit as end:
                said.append(sentence_of(end))
    return said


def prepare_suites(folder: Path) -> None:
    shutil.copytree(ROOT / "experiments" / "suites", folder / "suites")
    shutil.copytree(ROOT / "experiments" / "configs" / "speed", folder / "configs" / "speed")
    for kind in ("bleu", "long_range"):
        (folder / "configs" / kind).symlink_to(ROOT / "experiments" / "configs" / kind)


def planned(plan: Callable[[], Iterable[Planned]]) -> list[str]:
    return [argument for run in plan() for argument in run.arguments]


def read_suites(folder: Path) -> Sequence[str]:
    said = []
    with ExitStack() as stack:
        for module in (experiments.planning.grid, experiments.speed.suite):
            stack.enter_context(patch.object(module, "EXPERIMENTS", folder))
        for suite in ("smoke", "quick", "full"):
            said += tried(
                partial(planned, partial(experiments.planning.grid.plan_bleu, suite, [], [], "", "runs", [])),
                partial(
                    planned, partial(experiments.planning.grid.plan_tasks, "long-range", suite, [], [], [], "runs", [])
                ),
                partial(experiments.speed.suite.read_settings, suite),
            )
    return said


def prepare_run(folder: Path) -> None:
    """A trained model, with everything that its run leaves."""
    tiny_run(folder, model="transformer")


def read_run(folder: Path) -> Sequence[str]:
    made = tiny_key(folder, "transformer").folder
    return tried(
        lambda: translate.main("A dog sleeps.", "tiny", root=str(folder / "runs")),
        lambda: resume_from(made / "checkpoints", "TransformerSeq2Seq"),
    )


# the run store, as the experiments read it


def prepare_records(folder: Path) -> None:
    made = fake_runs.write_run(folder, "lstm", sentences=6, test_sets=("test",))
    fake_speed.write_length(folder, "lstm", fake_speed.STEP["lstm"])
    for path in folder.rglob("result.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        fake_runs.write_json(path, record | {"digest": digest(record["measurements"])})
    key = RunKey("quick", "bleu", "multi30k", "lstm", root=str(folder), command="make bleu")
    write_failure(key, "ValueError: no", "at")
    numbers = [["bleu", "BLEU", "test_set", "test", 6, 1.5]]
    outcome = {"config": {"a": 1}, "checksums": {"weights": "0"}, "numbers": numbers, "hypotheses": []}
    runs = {"bleu/multi30k/lstm/base/seed0": outcome}
    reference = as_lines({"made": "2026-01-02", "machine": machine_type(), "runs": runs}, 4)
    (folder / "reference.json").write_text(reference, encoding="utf-8")
    fake_runs.write_json(made / "wandb.json", {"config_hash": "0", "finished": "1", "url": "http://localhost"})
    (made / "config.yaml").write_text("trainer:\n  max_steps: 10\nmodel:\n  a: [1, 2]\n", encoding="utf-8")
    fake_runs.write_json(folder / "tuned" / "lstm.json", fake_long_range.trials_of() | {"model": "lstm"})


def read_records(folder: Path) -> Sequence[str]:
    made = fake_runs.folder_of(folder, "lstm")
    data: Any = Namespace(test_sets=["test"], provide=lambda *_: None)
    trial: Any = Namespace(key=Namespace(folder=made, log=made / "log"))

    class Listener:
        def log_metrics(self, metrics: Any, step: int) -> None:
            json.dumps([metrics, step])

    def sent(run: Path) -> bool:
        record = read_result(run)
        json.dumps([mirror.numbers(record), mirror.curves(record), mirror.translations(run)])
        tracking.settings_of(run, record)
        tracking.replay(cast(Any, Listener()), Clock(), run / "metrics.jsonl")
        return True

    return tried(
        lambda: is_finished(made, "0"),
        lambda: tracking.is_mirrored(made),
        lambda: sync.upload_all([(made, sent)], folder),
        lambda: mirror.attention(made),
        lambda: remeasure.provide_test_sentences(data, made),
        lambda: throughput.read_records(folder, ["quick"]).values("length", "lstm", "base", "flops_per_second"),
        lambda: tune.result(cast(Any, Namespace(trials=[trial], number=1, points=[{}], monitor="val/loss")), 0, 0),
        lambda: tune.recorded_error(trial),
        lambda: read_failure(made),
        lambda: read_reference(folder / "reference.json"),
        lambda: tune.unequal([cast(Any, Namespace(tuned=folder / "tuned" / "lstm.json"))]),
        lambda: LocalRecord(made / "metrics.jsonl", Clock()).forget_after(500),
    )


EXPERIMENTS = [
    Target("corpora", prepare_corpus, ["*.en", "*.de", "*.tsv", "*.gz", "*/*.zip"], read_corpora),
    Target("tokenizers", prepare_tokenizer, ["tokenizers/*.model"], read_tokenizer),
    Target("configs", prepare_configs, ["*.yaml", "*.json"], read_config),
    Target("suites", prepare_suites, ["suites/*.yaml", "configs/speed/*.yaml"], read_suites),
    Target("runs", prepare_run, ["runs/**/config.yaml", "runs/**/*.ckpt"], read_run),
    Target("records", prepare_records, [*STORE, "**/config.yaml"], read_records),
]
