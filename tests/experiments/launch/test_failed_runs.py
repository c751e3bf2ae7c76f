from pathlib import Path

from experiments.launch.failed_runs import failures
from experiments.record.keys import RunKey
from experiments.record.write import write_failure


def test_a_measurement_that_failed_is_named_by_its_command_and_is_no_training_run(tmp_path: Path) -> None:
    for model in ("lstm", "gru"):
        key = RunKey("smoke", "speed", "length", model, root=str(tmp_path), command="make speed TASKS=length")
        write_failure(key, "MemoryError", "")
    untold = RunKey("smoke", "bleu", "t", "lstm", root=str(tmp_path), command="make bleu")
    write_failure(untold, "ValueError", "")  # without arguments it cannot be run again
    assert failures(str(tmp_path), "smoke") == ([], ["make bleu", "make speed TASKS=length"])
