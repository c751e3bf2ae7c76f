import io
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from analysis.watch import SILENT, latest_metrics, main, read_run, read_suite, times_left, view
from tests.support.fakes.watched import NOW, begin, fail, finish, folder_of, iso, plan, training, write


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "quick"


def shown(suite: Path, width: int = 120, height: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view(suite, NOW, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def statuses(suite: Path) -> dict[str, str]:
    return {run.folder.parts[-3]: run.status for run in read_suite(suite, NOW)[0]}


def busy(suite: Path) -> None:
    """Two finished, one failed, one running, one silent, one waiting."""
    folders = [folder_of(suite, model) for model in ("rnn", "gru", "lstm", "bahdanau", "transformer", "lstm-heads8")]
    plan(suite, folders, NOW - 1000)
    finish(begin(folders[0], NOW - 600, training([1000])), NOW - 500, seconds=100)
    finish(folders[1], NOW - 400, seconds=7300)
    fail(begin(folders[2], NOW - 300), NOW - 290)
    begin(folders[3], NOW - 200, training(range(20, 820, 20)), NOW - 4)
    begin(folders[4], NOW - 200, training([20]) + "not a line\n", NOW - 190)


# One run


def test_a_run_goes_from_waiting_to_running_to_silent_to_finished(suite: Path) -> None:
    folder, since = folder_of(suite, "lstm"), NOW - 300
    assert read_run(folder, since, NOW).status == "waiting"
    write(folder.with_name("log-seed0.txt"), "", NOW - 299)
    assert read_run(folder, since, NOW - 298).status == "running"
    begin(folder, NOW - 290)
    write(folder / "metrics.jsonl", training(range(20, 260, 20)), NOW - 100)
    run = read_run(folder, since, NOW - 100 + SILENT)
    assert (run.status, run.step, run.max_steps, run.share, run.seconds) == ("running", 240, 1000, 0.24, 24)
    run = read_run(folder, since, NOW)
    assert (run.status, run.note) == ("silent", "for 2 min")
    finish(folder, NOW - 5, seconds=85)
    run = read_run(folder, since, NOW)
    assert (run.status, run.seconds, run.step) == ("finished", 85, 240)


def test_files_from_before_the_suite_started_do_not_count(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 500, training([20]))
    assert read_run(folder, NOW - 100, NOW).status == "waiting"
    fail(folder, NOW - 400)
    assert read_run(folder, NOW - 100, NOW).status == "waiting"
    assert read_run(folder, NOW - 450, NOW).status == "failed"
    finish(folder, NOW - 300)
    assert read_run(folder, NOW - 100, NOW).status == "waiting"  # a result of another configuration
    assert read_run(folder, 0.0, NOW).status == "finished"


def test_a_failure_is_shown_by_its_last_line_until_the_next_attempt(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50)
    fail(folder, NOW - 40, "RuntimeError: out of\n  memory\n\n")
    run = read_run(folder, 0.0, NOW)
    assert (run.status, run.note) == ("failed", f"memory; see {folder.with_name('log-seed0.txt')}")
    begin(folder, NOW - 30)
    assert read_run(folder, 0.0, NOW).status == "running"
    write(folder / "failure.json", "{", NOW - 20)
    assert str(folder / "failure.json") in read_run(folder, 0.0, NOW).note


def test_a_result_that_cannot_be_read_is_named_until_it_changes(suite: Path) -> None:
    folder = folder_of(suite, "lstm")
    path = write(folder / "result.json", "{", NOW - 40)
    run = read_run(folder, 0.0, NOW)
    assert run.status == "unreadable"
    assert str(path) in run.note
    finish(folder, NOW - 30)
    assert read_run(folder, 0.0, NOW).status == "finished"


@pytest.mark.parametrize("config", ["", "trainer: 3", "trainer:\n  max_steps: many", "{", "trainer: {}"])
def test_without_a_known_number_of_steps_there_is_no_share(config: str, suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20]))
    write(folder / "config.yaml", config, NOW - 49)
    run = read_run(folder, 0.0, NOW)
    assert (run.status, run.max_steps, run.share) == ("running", 0, 0.0)


def test_a_run_deleted_while_it_is_watched_is_waited_for_again(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20]))
    assert read_run(folder, 0.0, NOW).status == "running"
    suite.rename(suite.with_name("gone"))
    assert read_run(folder, 0.0, NOW).status == "waiting"
    assert read_suite(suite, NOW) == ([], [])


GOOD = {"step": 1, "seconds": 2.0, "target_tokens": 3, "metric": "val/loss", "value": 4.0}
ODD = ({"seconds": None}, {"step": math.nan}, {"value": [10**400]})


@pytest.mark.parametrize("line", ["", "{", "\udcff", "[1, 2]", '"text"', *(json.dumps(GOOD | odd) for odd in ODD)])
def test_a_broken_line_or_one_that_is_half_written_is_skipped(line: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    text = f"{line}\n{json.dumps(GOOD)}\n{line}\n{json.dumps(GOOD | {'step': 2})}"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert latest_metrics(path, 0.0) == (1, 2.0, {"val/loss": 4.0})


def test_of_a_long_file_the_end_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", training(range(1, 2001)), NOW)
    step, seconds, latest = latest_metrics(path, NOW)
    assert (step, seconds, latest["train/loss"], latest["val/loss"]) == (2000, 200.0, 100 / 2000, 90 / 2000)


# A suite


def test_planned_runs_count_before_they_start_and_finished_ones_stay_finished(suite: Path) -> None:
    folders = [folder_of(suite, model) for model in ("transformer", "lstm", "gru")]
    plan(suite, folders, NOW - 100, left=folders[::2])
    finish(folders[1], NOW - 5000)  # found finished by the suite
    finish(folder_of(suite, "bahdanau"), NOW - 5000)  # not planned
    for name in ("until-20260101-000000-seed0", "seed0.log", "seedling", "seed"):
        write(folders[1].with_name(name) / "result.json", "{}", NOW)
    expected = {"transformer": "waiting", "lstm": "finished", "gru": "waiting", "bahdanau": "finished"}
    assert list(statuses(suite).items()) == list(expected.items())


OTHERS = ["quick"], ["full/long-range/recall/lstm/base/seed0"], ["quick/long-range/recall/seed0"]


@pytest.mark.parametrize("change", [{"started": "yesterday"}, {"left": [[]]}, *({"runs": runs} for runs in OTHERS)])
def test_a_plan_that_cannot_be_read_is_named_and_the_others_count(change: dict[str, object], suite: Path) -> None:
    plan(suite, [folder_of(suite, "gru")], NOW)
    whole = {"started": iso(NOW), "runs": ["quick/bleu/m/lstm/base/seed0"], "left": []}
    path = write(suite / "planned-bleu.json", json.dumps(whole | change), NOW)
    assert statuses(suite) == {"gru": "waiting"}
    assert f"{path} cannot be read" in " ".join(shown(suite, 400))


def left_of(suite: Path) -> list[float | None]:
    return list(times_left(read_suite(suite, NOW)[0]).values())


def test_time_left_is_what_similar_runs_took(suite: Path) -> None:
    folders = [folder_of(suite, "lstm", task, seed=seed) for seed in (0, 1) for task in ("recall", "copy")]
    plan(suite, folders, NOW - 1000)
    assert left_of(suite) == [None] * 4
    begin(folders[0], NOW - 30)
    assert left_of(suite) == [None] * 4
    write(folders[0] / "metrics.jsonl", training([250]), NOW)  # 25 s of training for a quarter
    assert left_of(suite) == [75, 100, 100, 100]
    finish(folders[0], NOW - 500, seconds=100)
    finish(folders[1], NOW - 100, seconds=400)
    assert left_of(suite) == [100, 400]
    begin(folders[2], NOW - 30, training([600]))  # of 1000 steps
    assert left_of(suite) == [40, 400]
    write(folders[2] / "metrics.jsonl", training([1000]), NOW + 1)
    assert left_of(suite) == [0, 400]  # evaluated, which it has trained longer than the other took
    plan(suite, [folder_of(suite, "gru", task) for task in ("recall", "parity")], NOW + 1)
    assert left_of(suite)[:2] == [100, 250]  # of the task, of all


# What is shown


def test_counts_and_time_left_come_first_then_failed_and_running_ones(suite: Path) -> None:
    busy(suite)
    heading, columns, *rows = shown(suite)
    # a run of the task took 3700 s on average; the running one is extrapolated from its own 80 s
    assert heading.rstrip() == "quick: 2 of 6 finished, 1 failed, 1 running, 1 silent, 1 waiting, about 2 h 02 min left"
    assert columns.split() == ["run", "status", "step", "train/loss", "validation", "time"]
    assert [" ".join(row.split()) for row in rows[:6]] == [
        "lstm seed0 recall failed",
        "bahdanau seed0 recall running 800 of 1,000 0.125 token_accuracy 0.8 20 s left",
        "transformer seed0 recall silent for 3 min 20 of 1,000 5 1 h 00 min left",
        "lstm-heads8 seed0 recall waiting 1 h 02 min left",
        "rnn seed0 recall finished 1,000 of 1,000 0.1 token_accuracy 1 2 min",
        "gru seed0 recall finished 2 h 02 min",
    ]
    assert rows[6].startswith("lstm seed0 recall: the last line; see ")


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("height", [1, 5, 8, 30])
def test_a_view_fits_into_the_terminal_and_counts_what_it_leaves_out(width: int, height: int, suite: Path) -> None:
    busy(suite)
    lines = shown(suite, width, height)
    assert max(map(len, lines)) <= width
    assert height < 5 or len(lines) <= height
    assert any(line.startswith("and 2 more runs") for line in lines) == (height == 8)


# The command


@pytest.mark.parametrize("name", ["quikc", ""])
def test_a_suite_that_is_not_there_is_one_sentence(name: str, suite: Path) -> None:
    finish(folder_of(suite, "lstm"), NOW)
    with pytest.raises(SystemExit, match=rf"^There is no suite '{name}' in .*there: quick.*make quick`\.$"):
        main(["--suite", name, "--runs", str(suite.parent)])


def test_without_a_terminal_the_table_is_printed_once(
    suite: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(suite)
    monkeypatch.setenv("COLUMNS", "60")
    main(["--suite", "quick", "--runs", str(suite.parent)])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert text.count("2 of 6 finished") == 1


def test_it_imports_neither_torch_nor_what_draws_the_report() -> None:
    script = (
        "import sys, analysis.watch; print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_ctrl_c_ends_it_and_leaves_the_last_view(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def between_two_looks(_: float) -> None:
        if "40 of 1,000" in shown.getvalue():
            raise KeyboardInterrupt
        write(folder / "metrics.jsonl", training([20, 40]), time.time())

    shown, folder = Terminal(), begin(folder_of(suite, "lstm"), time.time(), training([20]), time.time())
    for name, value in (("COLUMNS", "100"), ("LINES", "30"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, shown)
    monkeypatch.setattr(time, "sleep", between_two_looks)
    main(["--suite", "quick", "--runs", str(suite.parent)])
    screen, last = shown.getvalue().split("\x1b[?1049l")  # the second screen, on which it was drawn, is left
    assert "\x1b[?1049h" in screen
    assert "20 of 1,000" in screen
    assert "0 of 1 finished" in last
