"""Training that starts from another run's weights."""

from pathlib import Path

import lightning as L
import pytest
import torch

from experiments.training.starting_weights import extended
from tests.support.tiny_runs import before, read_json, saved, tiny_run

FIRST = "bleu/files-en-de/lstm"


def again(root: Path, *more: str) -> Path:
    """A run of the same model that starts from the first."""
    tiny_run(root, "--run.variant=again", f"--starts_from={FIRST}", *more)
    return root / "runs" / "tiny" / FIRST / "again" / "seed0"


def test_training_starts_from_the_weights_that_validation_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tiny_run(tmp_path)
    began: list[dict[str, torch.Tensor]] = []

    def keep(trainer: L.Trainer) -> None:
        weights = trainer.lightning_module.state_dict()
        began.append({name: weight.clone() for name, weight in weights.items()})

    before(monkeypatch, "on_train_start", keep)
    folder = again(tmp_path)
    torch.testing.assert_close(began[0], dict(saved(first, "best")["state_dict"]), rtol=0, atol=0)
    assert list(read_json(folder / "identity.json")["contents"])[-1] == FIRST
    assert read_json(folder / "identity.json")["starts_from"] == FIRST


def test_with_other_weights_to_start_from_it_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tiny_run(tmp_path)
    folder = again(tmp_path)
    recorded, finished = (folder / "result.json").read_bytes(), f"finished already: {folder}"
    again(tmp_path)
    assert finished in capsys.readouterr().out
    (first / "result.json").unlink()
    tiny_run(tmp_path, "--trainer.max_steps=3")
    again(tmp_path)
    assert finished not in capsys.readouterr().out
    assert (folder / "result.json").read_bytes() != recorded


def test_weights_that_are_not_there_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"best\.ckpt is not there; make bleu SUITE=tiny TASKS=files-en-de MODEL"):
        again(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    tiny_run(tmp_path)
    with pytest.raises(SystemExit, match=r"starts_from: .*lstm/base/seed0 has a network of another kind or size"):
        again(tmp_path, "--model.init_args.network.hidden=10")


@pytest.mark.parametrize("name", ["lstm", "bleu/lstm", "bleu//lstm", "a/b/c/d"])
def test_a_name_is_experiment_task_and_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: .*starts_from"):
        tiny_run(tmp_path, f"--starts_from={name}")


def test_words_that_are_new_keep_their_own_rows() -> None:
    weights = {"table": torch.ones(2, 3), "bias": torch.ones(2), "inner": torch.ones(3, 3)}
    own = {"table": torch.zeros(4, 3), "bias": torch.zeros(3), "inner": torch.zeros(3, 3)}
    found = extended(weights, own)
    assert found["table"].tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 2
    assert found["bias"].tolist() == [1.0, 1.0, 0.0]
    assert found["inner"].tolist() == torch.ones(3, 3).tolist()
