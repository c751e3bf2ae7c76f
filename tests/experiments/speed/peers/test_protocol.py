import os
import sys
from pathlib import Path

import pytest

from experiments.speed.peers.protocol import BlockTimer, Worker, WorkerFailed
from tests.support.tiny_peers import FakeChannel

SCRIPT = """
import os, sys
from experiments.speed.peers.protocol import BlockTimer, WorkerChannel
channel = WorkerChannel()
print("a library prints")
os.write(1, b"and writes past Python\\n")
timer = BlockTimer(channel, 3, lambda: ["ein Mann", "eine Frau"])
channel.answer(parameters=7, name="toy")
timer.wait()
while True:
    timer.count(10, 25, 40)
    timer.pause()
"""


def start(tmp_path: Path, script: str) -> Worker:
    return Worker("toy", [sys.executable, "-c", script], tmp_path / "log.txt", dict(os.environ))


def test_a_worker_trains_and_translates_when_told_and_leaves_at_the_end(tmp_path: Path) -> None:
    with start(tmp_path, SCRIPT) as worker:
        assert worker.started == {"parameters": 7, "name": "toy"}
        for command in ("train", "translate", "train", "translate", "translate"):
            answer = worker.ask(command)
            assert answer.pop("seconds") >= 0
            if command == "train":
                assert answer == {"updates": 3, "target_tokens": 30, "tokens": 75, "positions": 120}
            else:
                assert answer == {"hypotheses": ["ein Mann", "eine Frau"]}
    assert worker.process.returncode == 0
    log = (tmp_path / "log.txt").read_text()
    assert "a library prints" in log
    assert "and writes past Python" in log


def train_once(tmp_path: Path, script: str) -> None:
    with start(tmp_path, script) as worker:
        worker.ask("train")


@pytest.mark.parametrize("script", ["raise ValueError('no such size')", SCRIPT.replace("pause()", "stop_here()")])
def test_a_worker_that_ends_too_soon_names_its_log_and_its_last_words(tmp_path: Path, script: str) -> None:
    """While it starts, and while it trains."""
    with pytest.raises(WorkerFailed, match=r"toy ended with .*(no such size|stop_here).*log\.txt"):
        train_once(tmp_path, script)


def test_a_worker_that_ended_before_it_was_asked_names_its_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = SCRIPT[: SCRIPT.index("timer.wait()")] + "raise ValueError('too late')"

    def entered(worker: Worker) -> Worker:
        worker.process.wait()
        return worker

    monkeypatch.setattr(Worker, "__enter__", entered)
    with pytest.raises(WorkerFailed, match="too late"):
        train_once(tmp_path, script)


def test_a_worker_at_work_does_not_outlive_a_failure(tmp_path: Path) -> None:
    endless = SCRIPT.replace("    timer.count(10, 25, 40)\n", "").replace("timer.pause()", "pass")
    worker = start(tmp_path, endless)
    assert worker.process.stdin is not None
    worker.process.stdin.write("train\n")
    worker.process.stdin.flush()
    worker.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert worker.process.returncode not in (0, None)


def test_idle_time_is_on_nobodys_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    channel = FakeChannel("train", "train", "train")
    original = channel.command

    def command_after_an_hour() -> str:
        now[0] += 3600
        return original()

    channel.command = command_after_an_hour  # type: ignore[method-assign]
    timer = BlockTimer(channel, 2, list)  # type: ignore[arg-type]
    timer.wait()
    for _ in range(4):
        now[0] += 1.5
        timer.count(1, 2, 3)
        timer.pause()
    assert [answer["seconds"] for answer in channel.answers] == [3.0, 3.0]
