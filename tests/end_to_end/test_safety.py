"""Nothing that a file says is run, no key is written down, nobody is asked: tried with files that attack."""

import ast
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from analysis import report
from experiments.planning import grid as plan
from experiments.record.keys import config_hash
from experiments.run import build_parser, identity, load_module, main
from experiments.tracking import sync
from experiments.tracking.logger import decide_mode
from experiments.training.trainer import TrainerSettings, build_trainer, fit
from experiments.translation import translate
from tests.support.readme import ROOT
from tests.support.tiny_runs import read_json, tiny_arguments, tiny_key, tiny_run
from tests.support.wandb_server import WandbServer

CODE = [path for part in ("analysis", "datamodules", "experiments", "models") for path in (ROOT / part).rglob("*.py")]
TESTS = [path for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name]


class Evil:
    """What is run when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (str(self.made),)


# --- what the code never does


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by the dotted name that is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def argument(call: ast.Call, name: str) -> str:
    return next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == name), "")


FORBIDDEN = re.compile(
    r"(pickle|dill|joblib|marshal|shelve|cloudpickle)\.(load|loads|open|Unpickler)|pd\.read_pickle|"
    r"yaml\.(load|load_all|unsafe_load\w*|full_load\w*)|eval|exec|os\.system|os\.popen|\w+\.extract(all)?|"
    r"shutil\.unpack_archive|tempfile\.mktemp|input|getpass\..*"
)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_can_make_the_code_run_it(path: Path) -> None:
    for name, call in calls(path):
        where = f"{path.relative_to(ROOT)}:{call.lineno}: {name}"
        assert not FORBIDDEN.fullmatch(name), where
        assert argument(call, "shell") in ("", "False"), where
        assert argument(call, "allow_pickle") in ("", "False"), where
        if name == "torch.load":
            assert argument(call, "weights_only") == "True", where
        if name.endswith(".fit") and argument(call, "ckpt_path"):
            assert argument(call, "weights_only") == "True", where
        if name == "wandb.login":
            assert argument(call, "prompt") == "False", where


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_tests_load_checkpoints_as_the_code_does(path: Path) -> None:
    for name, call in calls(path):
        assert name != "torch.load" or argument(call, "weights_only") == "True", f"{path.name}:{call.lineno}"


@pytest.mark.parametrize(
    "line",
    ["yaml.load(text)", "torch.load(path)", "pickle.loads(b)", "a.extractall()", "run(c, shell=True)", "input()"],
)
def test_the_test_above_can_fail(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "bad.py").write_text(line)
    with pytest.raises(AssertionError, match=r"bad\.py:1"):
        test_no_file_can_make_the_code_run_it(tmp_path / "bad.py")


# --- checkpoints


def plain_pickle(path: Path, whole: dict[str, Any], evil: Evil) -> None:
    path.write_bytes(pickle.dumps({**whole, "callbacks": evil}))


def torch_file(path: Path, whole: dict[str, Any], evil: Evil) -> None:
    torch.save({**whole, "callbacks": evil}, path)


def torch_file_of_old(path: Path, whole: dict[str, Any], evil: Evil) -> None:
    torch.save({**whole, "callbacks": evil}, path, _use_new_zipfile_serialization=False)


def bare_object(path: Path, whole: dict[str, Any], evil: Evil) -> None:
    torch.save(evil, path)


DISGUISES = [torch_file, bare_object]
NO_CHECKPOINTS = [plain_pickle, torch_file_of_old]  # not even archives, as every checkpoint is


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is, finished."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        decide_mode.cache_clear()
        root = tmp_path_factory.mktemp("trained")
        tiny_run(root)
    decide_mode.cache_clear()
    return root


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of that run to attack: where it is, and its folder."""
    shutil.copytree(trained, tmp_path / "copy")
    root = tmp_path / "copy"
    folder = tiny_key(root).folder
    described = config_hash(identity(build_parser().parse_args(tiny_arguments(root))))
    (folder / "config_hash").write_text(described)  # the corpus is elsewhere: without it this were another run
    return root, folder


def refused(act: Callable[[], object]) -> str:
    """The one sentence with which something is refused."""
    with pytest.raises((SystemExit, ValueError)) as stopped:
        act()
    said = str(stopped.value.code if isinstance(stopped.value, SystemExit) else stopped.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_checkpoint_that_would_run_something_is_refused(
    name: str, disguise: Callable[..., None], run: tuple[Path, Path], tmp_path: Path, no_tracking: None
) -> None:
    root, folder = run
    (folder / "result.json").unlink()
    checkpoint, made = folder / "checkpoints" / name, tmp_path / "owned"
    disguise(checkpoint, torch.load(checkpoint, weights_only=True), Evil(made))
    attack = checkpoint.read_bytes()
    said = refused(lambda: main(tiny_arguments(root)))
    assert said.startswith(f"error: {checkpoint} holds more than tensors and plain values, so it is not loaded")
    assert "remove it" in said
    assert not made.exists()
    assert checkpoint.read_bytes() == attack
    assert not (folder / "result.json").exists()
    failure = read_json(folder / "failure.json")
    assert str(checkpoint) in failure["error"]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.parametrize("disguise", NO_CHECKPOINTS)
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_what_is_no_checkpoint_is_put_aside_and_never_read(
    name: str, disguise: Callable[..., None], run: tuple[Path, Path], tmp_path: Path, no_tracking: None
) -> None:
    root, folder = run
    (folder / "result.json").unlink()
    checkpoint, made = folder / "checkpoints" / name, tmp_path / "owned"
    disguise(checkpoint, torch.load(checkpoint, weights_only=True), Evil(made))
    attack = checkpoint.read_bytes()
    main(tiny_arguments(root))
    assert (folder / "result.json").exists()
    assert not made.exists()
    assert checkpoint.with_name(f"{name}.broken").read_bytes() == attack
    assert torch.load(checkpoint, weights_only=True)["model_class"] == "LSTMSeq2Seq"


@pytest.mark.parametrize("disguise", [*DISGUISES, *NO_CHECKPOINTS])
def test_a_model_that_would_run_something_translates_nothing(
    disguise: Callable[..., None], run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, folder = run
    checkpoint, made = folder / "checkpoints" / "best.ckpt", tmp_path / "owned"
    disguise(checkpoint, torch.load(checkpoint, weights_only=True), Evil(made))
    assert str(checkpoint) in refused(lambda: load_module(folder))
    assert str(checkpoint) in refused(lambda: translate.main("a dog", suite="tiny", root=str(root / "runs")))
    assert not made.exists()


def test_lightning_itself_resumes_from_nothing_that_would_run_something(
    trained: Path, tmp_path: Path, no_tracking: None
) -> None:
    """The last line of defence, were the check before it forgotten."""
    module, data, _ = load_module(tiny_key(trained).folder)
    made, path = tmp_path / "owned", tmp_path / "last.ckpt"
    torch_file(path, {"state_dict": module.state_dict()}, Evil(made))
    trainer = build_trainer(TrainerSettings(max_steps=1, validate_every=1, accelerator="cpu"), tmp_path, [], [])
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        fit(trainer, module, data, path)
    assert not made.exists()


# --- YAML


def attack(made: Path) -> str:
    return f'!!python/object/apply:os.mkdir ["{made}"]'


def test_a_configuration_that_would_run_something_is_refused(tmp_path: Path, no_tracking: None) -> None:
    made, config = tmp_path / "owned", tmp_path / "evil.yaml"
    for text in (f"trainer: {{max_steps: {attack(made)}}}", attack(made), f"? {attack(made)}\n: 1"):
        config.write_text(text)
        said = refused(lambda: main([*tiny_arguments(tmp_path), "-c", str(config)]))
        assert said.startswith("error: ")
        assert not made.exists()
    assert not tiny_key(tmp_path).folder.exists()


@pytest.mark.parametrize("path", ["os.mkdir", "subprocess.Popen", "builtins.exec", "models.Seq2SeqModule.__init__"])
def test_a_configuration_builds_models_and_nothing_else(path: str, tmp_path: Path, no_tracking: None) -> None:
    config = tmp_path / "evil.yaml"
    for content in (
        {"model": {"class_path": path, "init_args": {"path": str(tmp_path / "owned")}}},
        {"model": {"init_args": {"network": {"class_path": path, "init_args": {"path": str(tmp_path / "owned")}}}}},
        {"trainer": {"class_path": path, "init_args": {"path": str(tmp_path / "owned")}}},
    ):
        config.write_text(yaml.safe_dump(content))
        assert refused(lambda: main([*tiny_arguments(tmp_path), "-c", str(config)])).startswith("error: ")
        assert not (tmp_path / "owned").exists()


def test_a_refusal_spells_what_a_terminal_would_obey(tmp_path: Path, no_tracking: None) -> None:
    (tmp_path / "evil.yaml").write_text('trainer: {monitor_mode: "\\e]0;owned\\a"}')
    said = refused(lambda: main([*tiny_arguments(tmp_path), "-c", str(tmp_path / "evil.yaml")]))
    assert r"\x1b]0;owned\x07" in said
    assert "\x1b" not in said


def test_a_suite_and_its_tuned_values_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "owned"
    monkeypatch.setattr(plan, "HERE", tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "evil.yaml").write_text(f"bleu: {attack(made)}")
    said = refused(lambda: plan.read_suite("evil"))
    assert str(tmp_path / "suites" / "evil.yaml") in said
    assert not made.exists()


def test_the_configuration_in_a_runs_folder_runs_nothing(
    run: tuple[Path, Path], tmp_path: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    root, folder = run
    made = tmp_path / "owned"
    with (folder / "config.yaml").open("a") as file:
        file.write(f"\nextra: {attack(made)}\n")
    said = refused(lambda: translate.main("a dog", suite="tiny", root=str(root / "runs")))
    assert str(folder / "config.yaml") in said
    with pytest.raises(SystemExit, match="not uploaded, try again later"):
        sync.main(str(root / "runs"))
    assert f"{folder / 'config.yaml'} is not plain YAML" in capsys.readouterr().out
    report.main(["--suite", "tiny", "--runs", str(root / "runs"), "--results", str(tmp_path)])
    assert not made.exists()
