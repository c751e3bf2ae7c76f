"""No target waits for an answer but the one that deletes, and no text that make is given is a program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readme import ROOT

TARGETS_WITH_NOTHING_THERE = {
    "analysis.report": ["--suite", "none"],
    "analysis.compare.__main__": ["--a", "", "--b", ""],
    "analysis.watch": ["--suite", "none"],
    "analysis.dashboard.__main__": ["--suite", "none"],
    "experiments.translation.translate": ["a dog"],
    "experiments.translation.attention_heads": ["--suite", "none"],
    "experiments.translation.contrastive": ["--suite", "none"],
    "experiments.speed.cost.estimate": ["--suite", "none"],
    "experiments.suite": ["bleu", "--suite", "none"],
    "experiments.tuning.tune": ["--suite", "none"],
    "experiments.speed": ["--suite", "none"],
    "experiments.tuning.wandb_sweep": ["--suite", "quick"],
    "experiments.tracking.sync": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("module", TARGETS_WITH_NOTHING_THERE)
def test_no_target_asks_anybody_anything(module: str, tmp_path: Path, nobody_logged_in: None) -> None:
    """Standard input is a pipe that nobody writes to: who reads from it waits for ever."""
    silent, held = os.pipe()
    command = [sys.executable, "-m", module, *TARGETS_WITH_NOTHING_THERE[module]]
    environment = {name: value for name, value in os.environ.items() if value or not name.startswith("WANDB")}
    try:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=silent,
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,  # no terminal to ask at either
        )
    finally:
        os.close(silent)
        os.close(held)
    assert "Traceback" not in done.stderr
    assert "\n" not in done.stderr.strip()
    assert done.stdout or done.stderr


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not re.match("MAKE|MFLAGS", name)}
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), *words],
        cwd=folder,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_an_answer_no_runs_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "runs" / "quick").mkdir(parents=True)
    done = make(tmp_path, "clean-runs", "SUITE=quick")
    assert (done.returncode, done.stdout) == (0, "delete runs/quick? [y/N] kept\n")
    assert (tmp_path / "runs" / "quick").is_dir()


def test_only_deleting_asks() -> None:
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [line for line in recipes.split("\n") if re.search(r"\bread \w+;", line)] == [
        line for line in recipes.split("\n") if "[y/N]" in line
    ]


TEXT = 'It costs $5 `touch owned` $(touch owned) $(shell touch owned) "it\'s"; touch owned & %s $$HOME \\ #'


@pytest.mark.parametrize("where", ["word", "environment"])
def test_a_text_to_translate_is_no_program(where: str, tmp_path: Path) -> None:
    """The recipe of `make translate` with a program in place of Python that shows what it was given."""
    show = tmp_path / "show"
    show.write_text("#!/bin/sh\nfor word; do printf '%s|' \"$word\"; done\n")
    show.chmod(0o755)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    (tmp_path / "requirements.lock").touch()
    os.utime(tmp_path / "requirements.lock", (0, 0))
    given = {"words": [f"TEXT={TEXT}"]} if where == "word" else {"words": []}
    variables = {"TEXT": TEXT} if where == "environment" else {}
    done = make(tmp_path, "translate", f"PY={show}", *given["words"], **variables)
    assert done.stdout == f"-m|experiments.translation.translate|{TEXT}|", done.stderr
    assert not (tmp_path / "owned").exists()
