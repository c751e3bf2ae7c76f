"""make: its help, every target's recipe, its failures and its one question. Run in a copy that shares only the code."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.readme import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
VARIABLES = re.findall(r"^HELP_([A-Z_]+) :=", MAKEFILE, re.MULTILINE)
CODE = ("analysis", "datamodules", "experiments", "models")
SHARED = ("Makefile", "install.py", "requirements.lock", "pyproject.toml", *CODE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which make finds the code and an installed environment, and may write."""
    for name in SHARED:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").mkdir()
    shutil.copy(ROOT / "requirements.lock", tmp_path / ".venv" / "installed")
    return tmp_path


def make(checkout: Path, *words: str, answer: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """make as a user calls it, whatever make runs these tests; `answer` is all of its standard input."""
    inherited = {n: v for n, v in os.environ.items() if not re.fullmatch(r"MAKE.*|MFLAGS|DATA_DIR|WANDB_MODE", n)}
    return subprocess.run(
        ["make", f"PY={sys.executable}", *words],
        cwd=checkout,
        env={**inherited, "WANDB_MODE": "disabled", **variables},
        input=answer,
        capture_output=True,
        text=True,
    )


def dry_run(checkout: Path, *words: str) -> str:
    done = make(checkout, "-n", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(help_text: str) -> tuple[list[str], dict[str, str]]:
    """The targets and the variables of a help, these with their values."""
    targets = re.findall(r"^  ([a-z-]+) +\S.*$", help_text, re.MULTILINE)
    return targets, dict(re.findall(r"^  ([A-Z_]+) +(\S.*?)(?:  .*)?$", help_text, re.MULTILINE))


def test_make_alone_shows_what_people_use_and_help_all_the_rest(checkout: Path) -> None:
    done = make(checkout, "SEEDS=0 1 2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout  # colours are for terminals
    targets, values = shown(done.stdout)
    assert 10 <= len(targets) <= 14
    assert {"setup", "quick", "report", "help-all"} <= {*targets} < {*TARGETS}
    everything, every_value = shown(make(checkout, "help-all", "SEEDS=0 1 2").stdout)
    assert (everything, [*every_value]) == (TARGETS, VARIABLES)
    assert values.items() < every_value.items()
    expected = {"SUITE": "quick", "SEEDS": "0 1 2", "DATA_DIR": "data", "WANDB_MODE": "disabled", "MODELS": "-"}
    assert expected.items() <= values.items()


def test_every_target_is_phony_and_explained() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(TARGETS)


def test_every_target_has_a_recipe_whose_modules_exist(checkout: Path) -> None:
    for target in TARGETS:
        printed = dry_run(checkout, target, "TEXT=a man")
        for module in re.findall(r"python\S* -m (\S+)", printed):
            ours = module.split(".")[0] in SHARED
            place = ROOT / module.replace(".", "/")
            runs = place.with_suffix(".py").exists() or (place / "__main__.py").exists()
            assert runs if ours else find_spec(module), (target, module)


GIVEN = {
    "bleu": {"SUITE": "full", "MODELS": "lstm transformer", "SEEDS": "0 1", "DIRECTION": "de-en", "DEVICES": "4"}
    | {"PRECISION": "bf16-mixed", "JOBS": "3", "TIMEOUT": "90", "LAUNCHER": "ray"},
    "long-range": {"SUITE": "full", "TASKS": "copy recall", "MODELS": "lstm", "SEEDS": "0 1", "JOBS": "3"},
    "tune": {"SUITE": "full", "TASKS": "copy", "MODELS": "lstm gru", "TRIALS": "9", "JOBS": "3", "EXPERIMENT": "bleu"},
    "contrastive": {"SUITE": "smoke"},
    "plan": {"SUITE": "paper", "MODELS": "lstm", "DEVICES": "8"},
}


@pytest.mark.parametrize("target", GIVEN)
def test_settings_reach_the_command_which_knows_them_and_no_others_are_passed(target: str, checkout: Path) -> None:
    given = {"LAUNCHER": "local", "TRIALS": "4", "EXPERIMENT": "long-range"} | GIVEN[target]
    printed = dry_run(checkout, target, *(f"{name}={value}" for name, value in given.items()))
    passed = dict(re.findall(r' --([a-z_]+) "([^"]*)"', printed.splitlines()[0]))
    assert passed.items() >= {name.lower(): value for name, value in GIVEN[target].items()}.items()
    assert {name.upper() for name in passed} <= {*given}
    module = re.search(r"-m experiments\.(\S+)", printed)
    assert module is not None
    code = (ROOT / "experiments" / f"{module[1].replace('.', '/')}.py").read_text()
    assert all(re.search(rf"\b{name}: |--{name}\"", code) for name in passed)


def test_stages_are_carried_out_in_order_and_quick_is_the_quick_suite_whatever_the_default(checkout: Path) -> None:
    assert 'suite bleu language long-range contrastive inspect speed report --suite "quick"' in dry_run(
        checkout, "quick"
    )
    assert 'suite long-range contrastive report --suite "smoke"' in dry_run(checkout, "long-range", "SUITE=smoke")


# --- setup

LOCAL = "PY=.venv/bin/python"


def python(checkout: Path, script: str) -> str:
    """A variable for make that names a script in place of the system's Python; it notes what it is asked for."""
    path = checkout / "python"
    path.write_text(f'#!/bin/sh\necho "$TORCH:$*" >>asked\n{script}\n')
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_a_changed_lock_is_installed_before_anything_runs_and_once(checkout: Path) -> None:
    installed = checkout / ".venv" / "installed"
    installed.write_text("numpy==1.0\n")
    os.utime(installed, (0, 0))
    for target in ("quick", "bleu", "test", "lint", "translate"):
        printed = dry_run(checkout, target, LOCAL)
        assert 0 < printed.find("install.py") < printed.rfind(" -m "), target
    assert make(checkout, "setup", LOCAL, python(checkout, 'case "$*" in install.py) exit 3;; esac')).returncode != 0
    assert installed.read_text() == "numpy==1.0\n"
    (checkout / "asked").unlink()
    for _ in range(2):
        assert make(checkout, "setup", LOCAL, python(checkout, ""), "TORCH=cpu").returncode == 0
    asked = (checkout / "asked").read_text().splitlines()
    assert [line for line in asked if "import sys" not in line] == ["cpu:install.py"]


@pytest.mark.parametrize("words", [(LOCAL,), ("PY=python3",)])
def test_a_copied_checkout_and_another_python_install_nothing(words: tuple[str, ...], checkout: Path) -> None:
    """A copy of the files has new times, the lock's perhaps the newest."""
    os.utime(checkout / ".venv" / "installed", (0, 0))
    if "PY=python3" in words:
        (checkout / ".venv" / "installed").unlink()
    assert make(checkout, "setup", *words, python(checkout, "exit 1")).returncode == 0
    assert not (checkout / "asked").exists()


def test_an_old_python_is_refused_with_the_remedy(checkout: Path) -> None:
    (checkout / ".venv" / "installed").unlink()
    old = python(checkout, '[ "$1" = --version ] && echo "Python 3.9.1"\nexit 1')
    done = make(checkout, "setup", LOCAL, old)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stdout
    assert "Python 3.9.1" in done.stdout
    assert not (checkout / ".venv" / "installed").exists()


# --- the one question, and text that is no program


def suites_after(checkout: Path, suite: str, answer: str) -> tuple[str, list[str]]:
    """What `make clean-runs` says, and which of two suites it leaves."""
    for name in ("smoke", "quick"):
        (checkout / "runs" / name / "bleu").mkdir(parents=True, exist_ok=True)
    done = make(checkout, "clean-runs", f"SUITE={suite}", answer=answer)
    assert (done.returncode != 0) == ("name one suite" in done.stdout)
    return done.stdout, sorted(path.name for path in (checkout / "runs").iterdir())


def test_runs_are_deleted_only_after_a_yes_and_only_the_suite_named(checkout: Path) -> None:
    for answer in ("", "n\n"):
        assert suites_after(checkout, "smoke", answer) == ("delete runs/smoke? [y/N] kept\n", ["quick", "smoke"])
    assert suites_after(checkout, "smoke", "y\n") == ("delete runs/smoke? [y/N] ", ["quick"])
    for suite in ("", "..", ".", "../elsewhere", "quick/bleu"):
        said, left = suites_after(checkout, suite, "y\n")
        assert ("name one suite" in said, left) == (True, ["quick", "smoke"]), suite


def test_only_deleting_asks() -> None:
    lines = MAKEFILE.split("\n")
    assert [line for line in lines if re.search(r"\bread \w+;", line)] == [line for line in lines if "[y/N]" in line]


TEXT = 'It costs $5 `touch owned` $(touch owned) $(shell touch owned) "it\'s"; touch owned & %s $$HOME \\ #'


def test_a_text_to_translate_or_to_continue_is_no_program(checkout: Path) -> None:
    """The recipes with a program in place of Python that shows what it was given."""
    show = checkout / "show"
    show.write_text("#!/bin/sh\nfor word; do printf '%s|' \"$word\"; done\n")
    show.chmod(0o755)
    for words, variables in (([f"TEXT={TEXT}", f"PROMPT={TEXT}"], {}), ([], {"TEXT": TEXT, "PROMPT": TEXT})):
        done = make(checkout, "translate", f"PY={show}", *words, **variables)
        assert done.stdout == f"-m|experiments.translation.translate|--|{TEXT}|", done.stderr
        done = make(checkout, "generate", f"PY={show}", *words, **variables)
        assert done.stdout == f"-m|experiments.language.generate|--suite|quick|--|{TEXT}|", done.stderr
        assert not (checkout / "owned").exists()
