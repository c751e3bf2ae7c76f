from pathlib import Path
from typing import Any

import pytest

from experiments.record.keys import RunKey, config_hash, source_of

CONFIG = {"model": {"width": 32, "rates": [0.1, 0.2]}, "seed": 0}


def key(root: Path, **changes: Any) -> RunKey:
    named = {"suite": "quick", "experiment": "bleu", "task": "embedded-en-de", "model": "lstm", "root": str(root)}
    return RunKey(**{**named, "command": "make bleu", **changes})


@pytest.mark.parametrize(
    "changed",
    [
        CONFIG | {"seed": "something else"},
        CONFIG | {"model": "something else"},
        CONFIG | {"model": {"width": 33, "rates": [0.1, 0.2]}},
        CONFIG | {"model": {"width": 32, "rates": [0.2, 0.1]}},
        CONFIG | {"seed": "0"},
        CONFIG | {"more": None},
    ],
)
def test_everything_but_the_order_of_keys_is_in_the_hash(changed: dict[str, Any]) -> None:
    assert config_hash(dict(reversed(CONFIG.items()))) == config_hash(CONFIG)
    assert config_hash(changed) != config_hash(CONFIG)


def test_the_hash_is_the_same_in_every_process() -> None:
    assert config_hash({"a": 1, "b": None}) == "0c6b73e7b48e199a"


def test_the_other_run_is_of_the_same_suite_and_seed() -> None:
    key = RunKey("full", "long-range", "copy", "lstm", "pretrained", 3, "elsewhere", "make x")
    assert source_of(key, "language/stories/transformer-small") == RunKey(
        "full", "language", "stories", "transformer", "small", 3, "elsewhere"
    )


def test_trials_start_from_what_the_first_published_run_starts_from() -> None:
    key = RunKey("full-tuning", "long-range", "copy", "lstm", "pretrained-trial2", 100, "elsewhere")
    assert source_of(key, "language/stories/transformer-small") == RunKey(
        "full", "language", "stories", "transformer", "small", 0, "elsewhere"
    )
