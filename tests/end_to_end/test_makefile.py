"""make: its help, every target's recipe, and that failures are its own. Run in a copy that shares only the code."""

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.readme import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
# Read, not imported: importing them would bring torch.
REPORT = (ROOT / "analysis" / "report.py").read_text()
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
VARIABLES = {
    "SUITE",
    "TASKS",
    "MODELS",
    "SEEDS",
    "DEVICES",
    "JOBS",
    "TIMEOUT",
    "TRIALS",
    "NODES",
    "PRECISION",
    "DATA_DIR",
    "WANDB_MODE",
}
SHARED = ("Makefile", "requirements.lock", "pyproject.toml", "analysis", "datamodules", "experiments", "models")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which make finds the code and an installed environment, and may write."""
    for name in SHARED:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    return tmp_path


def make(checkout: Path, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """make as a user calls it, whatever make runs these tests."""
    inherited = {n: v for n, v in os.environ.items() if not re.fullmatch(r"MAKE.*|MFLAGS|DATA_DIR|WANDB_MODE", n)}
    return subprocess.run(
        ["make", f"PY={sys.executable}", *words],
        cwd=checkout,
        env={**inherited, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
        input=answer,
        capture_output=True,
        text=True,
    )


def dry_run(checkout: Path, *words: str) -> str:
    done = make(checkout, "-n", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_alone_prints_every_target_and_every_variable_with_its_value(checkout: Path) -> None:
    done = make(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert list(shown) == TARGETS
    values = dict(re.findall(r"^  ([A-Z_]+) +(\S+) ", done.stdout, re.MULTILINE))
    assert set(values) >= VARIABLES
    assert (values["SUITE"], values["DATA_DIR"], values["WANDB_MODE"], values["MODELS"]) == (
        "quick",
        "data",
        "disabled",
        "-",
    )


def test_help_shows_values_given(checkout: Path) -> None:
    shown = make(checkout, "help", "SUITE=full", "SEEDS=0 1 2", "DEVICES=4").stdout
    for name, value in {"SUITE": "full", "SEEDS": "0 1 2", "DEVICES": "4"}.items():
        assert re.search(rf"^  {name} +{value} ", shown, re.MULTILINE), name


def test_help_has_no_escape_codes_when_it_is_not_on_a_terminal(checkout: Path) -> None:
    assert "\x1b" not in make(checkout).stdout


def test_every_target_is_phony_and_explained() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_recipe_whose_modules_exist(target: str, checkout: Path) -> None:
    printed = dry_run(checkout, target, "TEXT=a man")
    assert "pip install" not in printed
    for module in re.findall(r"python\S* -m (\S+)", printed):
        ours = module.split(".")[0] in SHARED
        place = ROOT / module.replace(".", "/")
        runs = place.with_suffix(".py").exists() or (place / "__main__.py").exists()
        assert runs if ours else find_spec(module), module


def commands(printed: str) -> list[str]:
    """Every program that a recipe runs, also those that another runs in turn."""
    lines = [line for line in printed.replace("\\\n", " ").splitlines() if " -m " in line]
    return [command for line in lines for command in line.replace("-m experiments.launch.in_turn ", "").split(" then ")]


@pytest.mark.parametrize(("target", "script"), [("bleu", "suite"), ("long-range", "suite"), ("tune", "tuning/tune")])
def test_options_passed_on_are_options_of_the_scripts(target: str, script: str, checkout: Path) -> None:
    training, *others = commands(dry_run(checkout, target))
    code = ast.parse((ROOT / "experiments" / f"{script}.py").read_text())
    functions = [f for f in code.body if isinstance(f, ast.FunctionDef) and f.name == "main"]
    known = {argument.arg for argument in functions[0].args.args}
    assert known >= {name.replace("-", "_") for name in re.findall(r" --([a-z][a-z-]+) ", training)} != set()
    if target != "tune":
        assert set(re.findall(r" --([a-z][a-z-]+) ", others[-1])) == {"suite"}
        assert '"--suite"' in REPORT


GIVEN = {
    "retry": {"SUITE": "smoke", "JOBS": "3", "TIMEOUT": "9", "LAUNCHER": "ray", "RAY": "a:1"},
    "bleu": {"SUITE": "full", "MODELS": "lstm transformer", "SEEDS": "0 1", "DIRECTION": "de-en", "DEVICES": "4"}
    | {"NODES": "2", "PRECISION": "bf16-mixed", "JOBS": "3", "TIMEOUT": "90"}
    | {"LAUNCHER": "ray", "RAY": "first:6379"},
    "long-range": {"SUITE": "full", "TASKS": "copy recall", "MODELS": "lstm", "SEEDS": "0 1", "JOBS": "3"},
    "tune": {"SUITE": "full", "TASKS": "copy", "MODELS": "lstm gru", "TRIALS": "9", "JOBS": "3", "EXPERIMENT": "bleu"},
    "contrastive": {"SUITE": "smoke"},
}


@pytest.mark.parametrize("target", GIVEN)
def test_settings_reach_the_command(target: str, checkout: Path) -> None:
    given = GIVEN[target]
    printed = dry_run(checkout, target, *(f"{name}={value}" for name, value in given.items()))
    for name, value in given.items():
        assert f'--{name.lower()} "{value}"' in printed


def test_quick_is_the_quick_suite_whatever_the_default(checkout: Path) -> None:
    suites = re.findall(r'--suite "(\w+)"', dry_run(checkout, "quick"))
    assert suites == ["quick"] * 6  # three experiments, contrasts, attention heads and a report


def test_a_changed_lock_file_is_installed_anew_before_anything_runs(checkout: Path) -> None:
    os.utime(checkout / ".venv" / "installed", (0, 0))
    for target in ("quick", "bleu", "test", "lint", "translate"):
        printed = dry_run(checkout, target)
        assert 0 < printed.find("pip install") < printed.rfind(" -m "), target


def test_an_old_python_is_refused_with_the_remedy(checkout: Path) -> None:
    (checkout / ".venv" / "installed").unlink()
    old = checkout / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1"\nexit 1\n')
    old.chmod(0o755)
    done = make(checkout, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stdout
    assert "Python 3.9.1" in done.stdout
    assert not (checkout / ".venv" / "installed").exists()


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What make's failure says, apart from make's own line."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    return line


def test_a_wrong_setting_is_one_sentence_and_nothing_is_made(checkout: Path) -> None:
    said = one_sentence(make(checkout, "bleu", "MODELS=nonsense"))
    assert "'nonsense'" in said
    assert "choose from bahdanau, lstm, transformer" in said
    assert not any((checkout / name).exists() for name in ("runs", "results"))


def test_a_run_that_fails_makes_make_fail_and_leaves_its_log(checkout: Path) -> None:
    done = make(checkout, "bleu", "SUITE=smoke", "MODELS=lstm", "PRECISION=7-bit")
    assert done.returncode != 0
    assert "1 of 1 runs failed" in done.stderr
    (log,) = (checkout / "runs").rglob("log-seed*.txt")
    assert "trainer.precision" in log.read_text()
    assert str(log.relative_to(checkout)) in done.stderr
    assert "make retry SUITE=smoke" in done.stderr
    assert "trainer.precision" in (checkout / "results" / "smoke" / "report.md").read_text()


def test_a_report_or_a_translation_without_runs_says_what_to_do(checkout: Path) -> None:
    assert "runs" in one_sentence(make(checkout, "report", "SUITE=smoke"))
    assert "make bleu SUITE=quick" in one_sentence(make(checkout, "translate", "TEXT=a man"))


@pytest.fixture
def two_suites(checkout: Path) -> Path:
    for name in ("smoke", "quick"):
        (checkout / "runs" / name / "bleu").mkdir(parents=True)
    return checkout


def test_runs_are_deleted_only_after_a_yes_and_only_the_suite_named(two_suites: Path) -> None:
    assert make(two_suites, "clean-runs", "SUITE=smoke", answer="n\n").returncode == 0
    assert (two_suites / "runs" / "smoke").exists()
    assert "delete runs/smoke?" in make(two_suites, "clean-runs", "SUITE=smoke", answer="y\n").stdout
    assert [path.name for path in (two_suites / "runs").iterdir()] == ["quick"]


@pytest.mark.parametrize("suite", ["", "..", ".", "../elsewhere", "quick/bleu"])
def test_nothing_but_a_suite_is_deleted(suite: str, two_suites: Path) -> None:
    done = make(two_suites, "clean-runs", f"SUITE={suite}", answer="y\n")
    assert done.returncode != 0
    assert "name one suite" in done.stdout
    assert len(list((two_suites / "runs").iterdir())) == 2
