import json
from pathlib import Path

import pytest

from experiments.launch.failed_runs import failures
from experiments.planning.grid import plan_bleu
from experiments.record.keys import RunKey
from experiments.record.write import write_failure


def test_a_measurement_that_failed_is_named_by_its_command_and_is_no_training_run(tmp_path: Path) -> None:
    for model in ("lstm", "gru"):
        key = RunKey("smoke", "speed", "length", model, root=str(tmp_path), command="make speed TASKS=length")
        write_failure(key, "MemoryError", "")
    untold = RunKey("smoke", "bleu", "t", "lstm", root=str(tmp_path), command="make bleu")
    write_failure(untold, "ValueError", "")  # without arguments it cannot be run again
    assert failures(str(tmp_path), "smoke") == ([], ["make bleu", "make speed TASKS=length"])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"arguments": 3}), "null"])
def test_a_broken_record_is_named_and_the_others_are_read(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = plan_bleu("smoke", ["lstm", "transformer"], [0], "", str(tmp_path), [])
    write_failure(good.key, "ValueError: no", "", good.arguments)
    path = broken.key.folder / "failure.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    runs, others = failures(str(tmp_path), "smoke")
    assert ([one.key for one in runs], others) == ([good.key], [])
    assert str(path) in capsys.readouterr().err
