"""What reads finished translation runs of two models, and a copy of them to change."""

import shutil
from pathlib import Path

import pytest

MODELS = ("lstm", "transformer")


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    """The root of a copy that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for config in tmp_path.rglob("config.yaml"):
        config.write_text(config.read_text(encoding="utf-8").replace(str(trained), str(tmp_path)), encoding="utf-8")
    return tmp_path
