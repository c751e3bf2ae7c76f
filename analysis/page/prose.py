"""Longer passages of the pages' text, by name, kept apart from the code that shows them."""

from pathlib import Path

import yaml

PROSE: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
