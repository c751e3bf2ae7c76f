"""One run store with a finished translation run of two models, for all that reads such runs."""

import shutil
from pathlib import Path

import pytest

from tests.support.tiny_runs import tiny_run

MODELS = ("lstm", "transformer")


def run_folder(root: Path, model: str) -> Path:
    return root / "runs" / "tiny" / "bleu" / "files-en-de" / model / "base" / "seed0"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its root, with folders `runs` and `corpus`: to be read alone."""
    root = tmp_path_factory.mktemp("trained")
    for model in MODELS:
        tiny_run(root, model=model)
    return root


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    """The root of a copy that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for config in tmp_path.rglob("config.yaml"):
        config.write_text(config.read_text(encoding="utf-8").replace(str(trained), str(tmp_path)), encoding="utf-8")
    return tmp_path
