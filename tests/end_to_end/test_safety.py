"""No file can make the code run something: tried with checkpoints and YAML that attack."""

import ast
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from analysis import report
from experiments.planning.parser import build_parser, identity
from experiments.run import main
from experiments.tracking import sync
from experiments.training.trained_run import load_module
from experiments.translation import translate
from tests.support.fuzz.analysis import empty_pictures
from tests.support.readme import ROOT
from tests.support.tiny_runs import read_json, tiny_arguments, tiny_key
from tests.support.wandb_server import WandbServer

CODE = [path for part in ("analysis", "datamodules", "experiments", "models") for path in (ROOT / part).rglob("*.py")]
FORBIDDEN = re.compile(
    r"(pickle|dill|joblib|marshal|shelve|cloudpickle)\.(load|loads|open|Unpickler)|pd\.read_pickle|"
    r"yaml\.(load|load_all|unsafe_load\w*|full_load\w*)|eval|exec|os\.system|os\.popen|\w+\.extract(all)?|"
    r"shutil\.unpack_archive|tempfile\.mktemp|input|getpass\..*"
)


class Evil:
    """What is run when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (str(self.made),)


# --- what the code never does


def dangers(path: Path) -> Iterator[str]:
    """Calls in a file that could run what another file says, or that wait for an answer."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            name, given = ast.unparse(call.func), {k.arg: ast.unparse(k.value) for k in call.keywords}
            plain_values_only = given.get("weights_only") == "True"
            if (
                (FORBIDDEN.fullmatch(name) and given.get("filter") != "'data'")
                or given.get("shell", "False") != "False"
                or given.get("allow_pickle", "False") != "False"
                or (name == "torch.load" and not plain_values_only)
                or (name.endswith(".fit") and "ckpt_path" in given and not plain_values_only)
                or (name == "wandb.login" and given.get("prompt") != "False")
            ):
                yield f"{path.name}:{call.lineno}: {name}"


def test_no_file_can_make_the_code_run_it() -> None:
    assert len(CODE) > 100
    assert [danger for path in CODE for danger in dangers(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        *("yaml.load(text)", "torch.load(path)", "pickle.loads(b)", "a.extractall()", "run(c, shell=True)", "input()"),
        *("np.load(path, allow_pickle=True)", "trainer.fit(m, ckpt_path=p)", "wandb.login(prompt=True)", "eval(text)"),
    ],
)
def test_a_planted_danger_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(f"text = 1\n{line}")
    assert [danger.startswith("bad.py:2: ") for danger in dangers(tmp_path / "bad.py")] == [True]


# --- checkpoints


Attack = Callable[[dict[str, Any], Evil, Path], object]
ARCHIVES: list[Attack] = [
    lambda whole, evil, path: torch.save({**whole, "callbacks": evil}, path),
    lambda whole, evil, path: torch.save(evil, path),
]
NO_ARCHIVES: list[Attack] = [  # as every checkpoint is
    lambda whole, evil, path: torch.save({**whole, "callbacks": evil}, path, _use_new_zipfile_serialization=False),
    lambda whole, evil, path: path.write_bytes(pickle.dumps({**whole, "callbacks": evil})),
]


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of a finished run to attack: where it is, and its folder."""
    root = shutil.copytree(trained, tmp_path / "copy", ignore=shutil.ignore_patterns("transformer"))
    folder = tiny_key(root).folder
    described = identity(build_parser().parse_args(tiny_arguments(root)))
    (folder / "identity.json").write_text(json.dumps(described))  # the corpus is elsewhere, which makes another run
    return root, folder


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Path]:
    """The folder that attacks would make."""
    yield tmp_path / "owned"
    assert not (tmp_path / "owned").exists()


def attacked(attack: Attack, checkpoint: Path, made: Path) -> bytes:
    """The content that an attack gives a checkpoint."""
    attack(torch.load(checkpoint, weights_only=True), Evil(made), checkpoint)
    return checkpoint.read_bytes()


def refused(act: Callable[[], object]) -> str:
    """The one sentence with which something is refused."""
    with pytest.raises((SystemExit, ValueError)) as stopped:
        act()
    said = str(stopped.value.code if isinstance(stopped.value, SystemExit) else stopped.value)
    assert "\n" not in said
    return said


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.parametrize(
    ("name", "attack"), [*zip(2 * ["last.ckpt", "best.ckpt"], [*ARCHIVES, *NO_ARCHIVES], strict=True)]
)
def test_a_checkpoint_that_would_run_something_is_refused_and_what_is_none_is_renamed(
    name: str, attack: Attack, run: tuple[Path, Path], made: Path
) -> None:
    root, folder = run
    (folder / "result.json").unlink()
    checkpoint = folder / "checkpoints" / name
    content = attacked(attack, checkpoint, made)
    if attack in ARCHIVES:
        said = refused(lambda: main(tiny_arguments(root)))
        assert said.startswith(f"error: {checkpoint} holds more than tensors and plain values, so it is not loaded")
        assert "remove it" in said
        assert checkpoint.read_bytes() == content
        assert not (folder / "result.json").exists()
        assert str(checkpoint) in read_json(folder / "failure.json")["error"]
    else:
        main(tiny_arguments(root))
        assert (folder / "result.json").exists()
        assert checkpoint.with_name(f"{name}.broken").read_bytes() == content
        best = checkpoint.with_name("best.ckpt")
        assert torch.load(best, weights_only=True)["model_class"] == "LSTMSeq2Seq"


@pytest.mark.parametrize("attack", [*ARCHIVES, *NO_ARCHIVES])
def test_a_model_that_would_run_something_translates_nothing(
    attack: Attack, run: tuple[Path, Path], made: Path
) -> None:
    root, folder = run
    checkpoint = folder / "checkpoints" / "best.ckpt"
    attacked(attack, checkpoint, made)
    assert str(checkpoint) in refused(lambda: load_module(folder))
    assert str(checkpoint) in refused(lambda: translate.main("a dog", suite="tiny", root=str(root / "runs")))


# --- YAML


def command(made: Path) -> str:
    return f'!!python/object/apply:os.mkdir ["{made}"]'


def test_a_configuration_runs_nothing_and_builds_models_alone(tmp_path: Path, made: Path) -> None:
    config = tmp_path / "evil.yaml"
    texts = [f"trainer: {{max_steps: {command(made)}}}", command(made), f"? {command(made)}\n: 1"]
    for path in ("os.mkdir", "subprocess.Popen", "builtins.exec", "models.Seq2SeqModule.__init__"):
        evil = {"class_path": path, "init_args": {"path": str(made)}}
        texts += map(yaml.safe_dump, ({"model": evil}, {"model": {"init_args": {"network": evil}}}, {"trainer": evil}))
    for text in texts:
        config.write_text(text)
        assert refused(lambda: main([*tiny_arguments(tmp_path), "-c", str(config)])).startswith("error: "), text
        assert not made.exists(), text
    assert not tiny_key(tmp_path).folder.exists()


def test_a_refusal_spells_what_a_terminal_would_obey(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text('trainer: {monitor_mode: "\\e]0;owned\\a"}')
    said = refused(lambda: main([*tiny_arguments(tmp_path), "-c", str(tmp_path / "evil.yaml")]))
    assert r"\x1b]0;owned\x07" in said
    assert "\x1b" not in said


def test_the_configuration_in_a_runs_folder_runs_nothing(
    run: tuple[Path, Path], tmp_path: Path, made: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    root, folder = run
    with (folder / "config.yaml").open("a") as file:
        file.write(f"\nextra: {command(made)}\n")
    assert str(folder / "config.yaml") in refused(
        lambda: translate.main("a dog", suite="tiny", root=str(root / "runs"))
    )
    with pytest.raises(SystemExit, match="not uploaded, try again later"):
        sync.main(str(root / "runs"))
    assert f"{folder / 'config.yaml'} is not plain YAML" in capsys.readouterr().out
    with empty_pictures():
        report.main(["--suite", "tiny", "--runs", str(root / "runs"), "--results", str(tmp_path)])
