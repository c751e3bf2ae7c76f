import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.launch.in_turn import main
from tests.support.readme import ROOT


def end_with(code: int, mark: Path) -> list[str]:
    return ["sh", "-c", f"echo {code} >> {mark}; exit {code}"]


@pytest.mark.parametrize(
    ("codes", "ran", "status"),
    [
        ([0, 0, 0], [0, 0, 0], 0),
        ([0, 1, 0], [0, 1, 0], 1),
        ([1, 75, 0], [1, 75, 0], 75),
        ([75, 1, 0], [75, 1, 0], 1),
        ([0, 2, 0], [0, 2], 2),
        ([1, 130, 0], [1, 130], 130),
        ([143], [143], 143),
    ],
)
def test_a_failure_does_not_keep_the_rest_from_being_done_a_mistake_and_an_interruption_do(
    codes: list[int], ran: list[int], status: int, tmp_path: Path
) -> None:
    words: list[str] = []
    for code in codes:
        words += [*(["then"] if words else []), *end_with(code, tmp_path / "ran")]
    assert main(words) == status
    assert [int(line) for line in (tmp_path / "ran").read_text().split()] == ran


def test_a_command_that_is_killed_ends_all() -> None:
    assert main(["sh", "-c", "kill -9 $$", "then", "false"]) == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_reaches_the_command_which_may_save_first(number: signal.Signals, tmp_path: Path) -> None:
    trap = f"trap 'sleep 0.2; touch {tmp_path}/saved; exit 143' TERM HUP"
    saving = f"{trap}; touch {tmp_path}/begun; while :; do sleep 0.05; done"
    command = [
        sys.executable,
        "-m",
        "experiments.launch.in_turn",
        "sh",
        "-c",
        saving,
        "then",
        "touch",
        str(tmp_path / "next"),
    ]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        for _ in range(1200):
            if (tmp_path / "begun").exists():
                break
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()
