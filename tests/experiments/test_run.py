import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from datamodules import TranslationData
from experiments.launch import finished as launch
from experiments.launch.exit_codes import BUSY
from experiments.launch.receipts import AT_START, Receipt, of_arguments, of_run
from experiments.planning.grid import Planned
from experiments.planning.parser import build_parser, identity
from experiments.record.keys import config_hash
from experiments.record.read import is_finished
from experiments.run import main
from experiments.training.callbacks import Clock
from experiments.training.run_folder import run_lock
from experiments.training.trained_run import load_module
from experiments.training.validation import ValidationBLEU
from tests.support.refusals import refusal
from tests.support.tiny_runs import (
    SIZES,
    STEPS,
    VALIDATE_EVERY,
    assert_same,
    before,
    read_json,
    read_lines,
    recorded,
    saved,
    terminate_at,
    tiny_arguments,
    tiny_key,
    tiny_run,
)

MODELS = ["lstm", "bahdanau", "transformer"]
DROPOUT = "--model.init_args.network.dropout=0.4"
PER_TEST_SET = {
    "bleu", "chrf", "bleu_tokenised", "bleu_torchtext", "length_ratio", "also_trained_on", "truncated_share",
    "decode_seconds",
}  # fmt: skip
PER_RUN = {
    "parameters", "parameters_without_embeddings", "steps", "target_tokens", "source_tokens", "train_seconds",
    "target_tokens_per_second", "best_step", "val_loss", "val_bleu", "val_bleu_unaveraged",
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def finished(request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    if request.param == "bahdanau":
        return tiny_run(tmp_path_factory.mktemp("finished"), model=request.param)
    return tiny_key(trained, request.param).folder


def root_of(folder: Path) -> Path:
    return folder.parents[6]


def nothing_may_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(L.Trainer, "fit", refuse)


def test_a_run_records_every_measurement(finished: Path) -> None:
    result = read_json(finished / "result.json")
    rows = result["measurements"]
    found = {row["metric"]: row for row in rows if row["x_name"] == ""}
    assert set(found) == PER_RUN
    assert all(row["x"] is None for row in found.values())
    assert found["steps"]["value"] == STEPS
    assert found["best_step"]["value"] in range(VALIDATE_EVERY, STEPS + 1, VALIDATE_EVERY)
    seconds, rate = found["train_seconds"]["value"], found["target_tokens_per_second"]["value"]
    assert rate * seconds == pytest.approx(found["target_tokens"]["value"])
    for test_set in ("seen", "unseen"):
        scores = {row["metric"]: row for row in rows if (row["x_name"], row["x"]) == ("test_set", test_set)}
        assert set(scores) == PER_TEST_SET
        assert all(row["n"] == SIZES[test_set] for row in scores.values())
        bins = [row for row in rows if row["x_name"] == f"source words, {test_set}"]
        assert {row["metric"] for row in bins} == {"bleu_by_length"}
        assert sum(row["n"] for row in bins) == SIZES[test_set]
    assert result["model"] in str(finished)
    assert result["command"] == f"make bleu MODELS={result['model']}"
    assert is_finished(finished, result["config_hash"])


def test_hypotheses_are_those_of_every_sentence_in_the_corpuss_order(finished: Path) -> None:
    for test_set in ("seen", "unseen"):
        rows = read_lines(finished / "hypotheses" / f"{test_set}.jsonl")
        assert [row["id"] for row in rows] == list(range(SIZES[test_set]))
        for side, name in (("source", "en"), ("reference", "de")):
            text = (root_of(finished) / "corpus" / f"{test_set}.{name}").read_text(encoding="utf-8")
            assert [row[side] for row in rows] == text.splitlines()
        assert set(rows[0]) == {
            "id", "source", "reference", "hypothesis", "score", "log_prob", "source_tokens", "truncated"
        }  # fmt: skip


def test_metrics_are_recorded_once_a_step_as_they_happen(finished: Path) -> None:
    rows = read_lines(finished / "metrics.jsonl")
    by_metric: dict[str, list[int]] = {}
    for row in rows:
        assert set(row) == {"step", "seconds", "target_tokens", "metric", "value"}
        by_metric.setdefault(row["metric"], []).append(row["step"])
    validations = [*range(VALIDATE_EVERY, STEPS + 1, VALIDATE_EVERY)]
    assert by_metric["train/loss"] == [*range(1, STEPS + 1)]
    for metric in ("val/loss", "val/bleu", "train/tokens_per_second"):
        assert by_metric[metric] == validations
    assert [row["target_tokens"] for row in rows] == sorted(row["target_tokens"] for row in rows)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)


def test_a_run_that_another_process_works_on_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.training.run_folder.PATIENCE", 0.1)
    folder = tiny_key(tmp_path).folder
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    folder.parent.mkdir(parents=True)
    command = [sys.executable, "-c", code, str(folder.parent / ".seed0.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        refused = exit_of(*tiny_arguments(tmp_path))
        assert refused.code == BUSY
        assert capsys.readouterr().err == f"{folder} is being run by another process; nothing was changed.\n"
        assert not folder.exists()
        monkeypatch.setattr("lightning.pytorch.utilities.rank_zero_only.rank", 1)  # of a run that the first has begun
        with run_lock(tiny_key(tmp_path)):
            pass
        monkeypatch.setattr("lightning.pytorch.utilities.rank_zero_only.rank", 0)
        other.kill()  # a lock does not outlive its process
    assert (tiny_run(tmp_path) / "result.json").exists()


def test_a_finished_run_is_not_trained_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_may_train(monkeypatch)
    written = (finished / "result.json").stat().st_mtime_ns
    tiny_run(root_of(finished), model=finished.parts[-3])
    assert capsys.readouterr().out == f"finished already: {finished}\n"
    assert (finished / "result.json").stat().st_mtime_ns == written


def test_a_failure_that_a_finished_run_left_behind_goes_and_its_receipt_is_renewed(
    finished: Path, tmp_path: Path
) -> None:
    """A kill came between its result and the end of an earlier failure's record, or the receipt."""
    model = finished.parts[-3]
    roots = (root_of(finished), tmp_path)
    original, copy = (Planned(tiny_key(root, model), (), arguments_of(finished)) for root in roots)
    shutil.copytree(finished, copy.key.folder)
    assert receipt_of(original).holds()
    (copy.key.folder / "failure.json").write_text("{}")
    receipt_of(copy).path.unlink()
    if model == "lstm":  # in a process of its own
        assert launch.finished([copy]) == [True]
    else:
        main(copy.arguments)
    assert not (copy.key.folder / "failure.json").exists()
    assert receipt_of(copy).holds()


def receipt_of(planned: Planned) -> Receipt:
    return of_run(planned.key.folder, of_arguments(planned.arguments, AT_START))


def arguments_of(folder: Path) -> tuple[str, ...]:
    words = tiny_arguments(root_of(folder), folder.parts[-3])
    return tuple(word for word in words if not word.startswith("--run."))


def test_a_finished_run_can_be_loaded(finished: Path) -> None:
    module, data, decoding = load_module(finished)
    torch.testing.assert_close(dict(module.state_dict()), dict(saved(finished, "best")["state_dict"]), rtol=0, atol=0)
    assert not module.training
    assert data.test_sets == ["seen", "unseen"]
    assert decoding.beam_size == 2


NOT_IN_THE_HASH = [
    "data.init_args.data_dir=elsewhere",
    "data.init_args.cache_dir=tmp",
    "run.root=r",
    "run.command=make",
]
IN_THE_HASH = [
    "run.seed=1", "run.variant=gru", "model.init_args.optimisation.learning_rate=0.5",
    "model.init_args.network.hidden=64", "trainer.max_steps=7", "trainer.ema_decay=0",
    "data.init_args.max_tokens=90", "data.init_args.corpus.limit=9", "decoding.beam_size=4", "validation_sentences=3",
]  # fmt: skip


def test_what_decides_the_numbers_is_in_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parser, arguments = build_parser(), tiny_arguments(tmp_path)
    base = config_hash(identity(parser.parse_args(arguments)))
    for change in (*NOT_IN_THE_HASH, *IN_THE_HASH):
        found = config_hash(identity(parser.parse_args([*arguments, f"--{change}"])))
        assert (found == base) == (change in NOT_IN_THE_HASH), change


def exit_of(*arguments: str) -> SystemExit:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value


def test_a_missing_corpus_is_one_sentence_and_a_recorded_failure(tmp_path: Path) -> None:
    corpus = [
        "--data.init_args.corpus={name: multi30k, files: null}",
        f"--data.init_args.data_dir={tmp_path / 'empty'}",
    ]
    said = refusal(main, [*tiny_arguments(tmp_path), *corpus])
    assert str(tmp_path / "empty") in said
    assert "make data" in said
    failure = read_json(tiny_key(tmp_path).folder / "failure.json")
    assert failure["error"].removeprefix("FileNotFoundError: ") == said.removeprefix("error: ")
    assert "Traceback" in failure["traceback"]
    assert failure["model"] == "lstm"
    assert not (tiny_key(tmp_path).folder / "result.json").exists()


LEARNED = "--model.init_args.network={positions: learned, max_length: %d}"


@pytest.mark.parametrize(
    ("margin", "longer", "what"), [(0, "val", "of val"), (0, "seen", "of seen"), (999, "seen", "a hypothesis of")]
)
def test_a_sentence_beyond_learned_positions_is_refused_before_training(
    margin: int, longer: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*tiny_arguments(tmp_path, "transformer"), f"--decoding.length_margin={margin}"]
    for language in ("en", "de"):
        with (tmp_path / "corpus" / f"{longer}.{language}").open("a") as file:
            file.write("der Hund " * 40 + "\n")
    with monkeypatch.context() as patch:
        nothing_may_train(patch)
        said = refusal(main, [*words, LEARNED % 9])
    (advised,) = re.findall(rf"{what}.* has up to .* only up to 9: set it to (\d+) or more", said)
    nothing_may_train(monkeypatch)
    assert f"only up to {int(advised) - 1}: " in refusal(main, [*words, LEARNED % (int(advised) - 1)])
    with pytest.raises(AssertionError, match="trained"):
        main([*words, LEARNED % int(advised)])


def test_a_checkpoint_of_another_model_is_one_sentence(tmp_path: Path) -> None:
    other, folder = tiny_run(tmp_path, model="lstm"), tiny_run(tmp_path, model="transformer")
    (folder / "result.json").unlink()
    (other / "checkpoints" / "last.ckpt").replace(folder / "checkpoints" / "last.ckpt")
    said = refusal(main, tiny_arguments(tmp_path, "transformer"))
    assert "LSTMSeq2Seq" in said
    assert "TransformerSeq2Seq" in said
    assert (folder / "checkpoints" / "last.ckpt").exists()


def test_a_run_that_was_never_trained_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train this run first"):
        load_module(tmp_path)


def test_no_test_sentence_is_read_before_training_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    loader, fit = TranslationData.loader, L.Trainer.fit

    def spied(self: TranslationData, split: str, *rest: Any, **named: Any) -> Any:
        happened.append(split)
        return loader(self, split, *rest, **named)

    def ended(self: L.Trainer, *rest: Any, **named: Any) -> None:
        fit(self, *rest, **named)
        happened.append("trained")

    monkeypatch.setattr(TranslationData, "loader", spied)
    monkeypatch.setattr(L.Trainer, "fit", ended)
    folder = tiny_run(tmp_path)
    assert set(happened[: happened.index("trained")]) == {"train", "val"}
    assert set(happened[happened.index("trained") :]) == {"trained", "val", "seen", "unseen"}
    assert read_json(folder / "result.json")["held_equal"]["checkpoint chosen by"] == "val/bleu"


def test_the_best_checkpoint_is_that_of_the_best_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([7.0, 5.0])
    monkeypatch.setattr("experiments.training.validation.bleu", lambda *_: next(scores))
    folder = tiny_run(tmp_path)
    assert [saved(folder, name)["global_step"] for name in ("best", "last")] == [VALIDATE_EVERY, STEPS]
    rows = read_json(folder / "result.json")["measurements"]
    assert [row["value"] for row in rows if row["metric"] == "best_step"] == [VALIDATE_EVERY]


def interrupt(root: Path, hook: str, action: Callable[[L.Trainer], None], callback: type = Clock) -> SystemExit:
    with pytest.MonkeyPatch.context() as patch:
        before(patch, hook, action, callback)
        return exit_of(*tiny_arguments(root))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs with dropout that nothing happened to."""
    root = tmp_path_factory.mktemp("wholes")
    return {model: tiny_run(root / model, DROPOUT, model=model) for model in ("lstm", "transformer")}


BETWEEN = VALIDATE_EVERY + 1


@pytest.mark.parametrize(
    ("model", "step"),
    [("lstm", 1), ("lstm", VALIDATE_EVERY), ("lstm", BETWEEN), ("transformer", BETWEEN), ("transformer", STEPS)],
)
def test_a_terminated_run_resumes_as_if_nothing_had_happened(
    model: str, step: int, wholes: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        terminate_at(patch, step)
        assert exit_of(*tiny_arguments(tmp_path, model), DROPOUT).code == 143
    folder = tiny_key(tmp_path, model).folder
    assert not (folder / "result.json").exists()
    assert not (folder / "failure.json").exists()
    assert saved(folder)["global_step"] == step
    if step == BETWEEN:
        assert saved(folder, "best")["global_step"] == VALIDATE_EVERY
    torch.rand(7)  # whatever else draws in between
    assert_same(tiny_run(tmp_path, DROPOUT, model=model), wholes[model])


@pytest.fixture(scope="module")
def whole(trained: Path) -> Path:
    """The folder of a run that nothing happened to."""
    return tiny_key(trained).folder


def test_an_interruption_in_validation_changes_nothing(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_the_second_validation(trainer: L.Trainer) -> None:
        if trainer.global_step == STEPS:
            raise KeyboardInterrupt

    assert interrupt(tmp_path, "on_validation_batch_end", in_the_second_validation, ValidationBLEU).code == 130
    assert "resumes from" in capsys.readouterr().err
    assert_same(tiny_run(tmp_path), whole)


def test_another_seed_is_another_run(whole: Path, tmp_path: Path) -> None:
    other = tiny_run(tmp_path, seed=1)
    assert other.name != whole.name
    assert recorded(other) != recorded(whole)
