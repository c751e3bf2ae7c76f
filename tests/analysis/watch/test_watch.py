import io
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from analysis.watch.__main__ import WATCHED, duration, frame, keyboard, main, number
from analysis.watch.suite import Suite
from tests.support.fakes.runs import row
from tests.support.fakes.watched import NOW, begin, fail, finish, folder_of, metric, plan, training, write

WIDTHS = (60, 100, 200)
BRAILLE = re.compile("[\u2801-\u28ff]")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "quick"


def shown(suite: Path, width: int = 100, height: int | None = None, now: float = NOW, hint: str = "") -> list[str]:
    watched = Suite(suite)
    watched.look(now)
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(frame(watched, now, width, height, hint))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def busy(suite: Path) -> None:
    """Two finished, one failed, two running, one waiting."""
    folders = [folder_of(suite, model) for model in ("rnn", "gru", "lstm", "bahdanau", "transformer", "lstm-heads8")]
    plan(suite, folders, NOW - 1000)
    finish(folders[0], NOW - 500, seconds=100)
    rows = [
        row("token_accuracy", 0.5, "share", 9, "gap, symbols 4", 256),
        row("trained", 1, "flag", 9, "gap, symbols 4", 256),
    ]
    finish(folders[1], NOW - 400, seconds=7300, measurements=rows)
    begin(folders[2], NOW - 300)
    fail(folders[2], NOW - 290)
    begin(folders[3], NOW - 200, training(range(20, 820, 20)), NOW - 4)
    begin(folders[4], NOW - 200, training([20]) + "not a line\n", NOW - 190)


def test_the_heading_counts_and_estimates(suite: Path) -> None:
    busy(suite)
    heading, bar = shown(suite, 200, hint="q quits")[:2]
    assert heading == (
        "quick  2 of 6 finished  1 failed  2 running  1 waiting  about 1 h 02 min left  q quits"
    )  # the waiting one takes 3700 s, the mean on its task, longer than what goes on beside it
    assert (bar.count("█"), len(bar)) == (round(199 / 3), 199)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_is_there_at_every_width_and_nothing_is_wider(width: int, suite: Path) -> None:
    busy(suite)
    lines = shown(suite, width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for wanted in [
        "2 of 6 finished",
        "recall bahdanau seed 0",
        "step 800 of 1,000",
        "train/loss 0.125",
        "val/loss 0.1125",
        "val/token_accuracy 0.8",
        "1,000 tokens/s",
        "last line 4 s ago",
        "recall transformer seed 0",
        "silent for 3 min",
        "lines not readable: 1",
        "failed recall lstm seed 0",
        "the last line",
        "recall rnn seed 0 BLEU 12.35 on test2016",
        "recall gru seed 0 token accuracy 0.500 at gap 256",
    ]:
        assert wanted in text
    assert "because of" not in text
    assert width < 100 or ("2016 2 min" in text and "gap 256 2 h 02 min" in text)


@pytest.mark.parametrize("width", WIDTHS)
def test_curves_stand_beside_each_other_where_there_is_room(width: int, suite: Path) -> None:
    begin(folder_of(suite, "lstm"), NOW - 200, training(range(20, 820, 20)), NOW)
    lines = [line for line in shown(suite, width) if BRAILLE.search(line)]
    assert len(lines) == (2 if width >= 100 else 4)
    assert lines[0].split()[:2] == ["val/token_accuracy", "0.8"]
    assert lines[1].split()[:5] == ["step", "100", "to", "800", "0.1"]
    if width < 100:
        assert lines[2].split()[:2] == ["train/loss", "5"]
        assert lines[3].split()[:5] == ["step", "20", "to", "800", "0.125"]


@pytest.mark.parametrize("name", WATCHED)
def test_the_validation_metric_drawn_is_the_first_that_there_is(name: str, suite: Path) -> None:
    names = WATCHED[WATCHED.index(name) :]
    begin(
        folder_of(suite, "lstm"), NOW - 9, "".join(metric(n, step, step) for step in (20, 40) for n in reversed(names))
    )
    drawn = [line.split()[0] for line in shown(suite) if BRAILLE.search(line)]
    assert drawn[0] == name


def test_a_diverged_run_says_so_and_is_drawn_without_what_is_no_number(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 9, metric("train/loss", 20, math.nan))
    assert "train/loss nan" in " ".join(shown(suite))
    write(folder / "metrics.jsonl", training([20, 40]) + metric("train/loss", 60, math.inf), NOW)
    text = " ".join(shown(suite))
    assert "train/loss inf" in text
    assert BRAILLE.search(text)


@pytest.mark.parametrize("height", range(1, 30))
def test_a_frame_is_never_higher_than_the_terminal_and_counts_what_it_leaves_out(height: int, suite: Path) -> None:
    busy(suite)
    for seed in range(20):
        finish(folder_of(suite, "rnn", "parity", seed=seed), NOW - 2000 - seed)
    lines = shown(suite, 100, height)
    assert len(lines) <= height
    listed = sum("BLEU" in line or "accuracy 0.500" in line for line in lines)
    more = re.search(r"and (\d+) more finished", " ".join(lines))
    if height >= 18:
        assert any(BRAILLE.search(line) for line in lines)
        assert listed + (int(more[1]) if more else 0) == 22


def test_curves_give_way_before_runs_do(suite: Path) -> None:
    for seed in range(4):
        begin(folder_of(suite, "lstm", seed=seed), NOW - 9, training([20, 40, 100]))
    assert len([line for line in shown(suite, 100, 24) if BRAILLE.search(line)]) == 8
    lines = shown(suite, 100, 16)
    assert not any(BRAILLE.search(line) for line in lines)
    assert sum("seed" in line for line in lines) == 4


def test_finished_runs_are_listed_the_latest_first(suite: Path) -> None:
    for seed, when in enumerate((3, 1, 2)):
        finish(folder_of(suite, "lstm", seed=seed), NOW - when)
    seeds = [line.split()[3] for line in shown(suite)[2:]]
    assert seeds == ["1", "2", "0"]


def test_where_a_name_does_not_fit_its_task_gives_way(suite: Path) -> None:
    finish(folder_of(suite, "transformer-prenorm", "associative-recall-16-keys"), NOW - 1)
    assert "… transformer-prenorm seed 0  BLEU 12.35 on test2016" in shown(suite, 60)[-1]
    assert "associative-recall-16-keys transformer-prenorm seed 0" in shown(suite, 100)[-1]


def test_an_interrupted_suite_says_how_it_goes_on(suite: Path) -> None:
    begin(folder_of(suite, "lstm"), NOW - 5000)
    lines = shown(suite)
    assert "interrupted: the same make command goes on where it stopped" in lines
    assert "interrupted  recall lstm seed 0" in lines
    begin(folder_of(suite, "gru"), NOW - 5)
    assert "interrupted: the same make command goes on where it stopped" not in shown(suite)


def test_broken_records_and_plans_are_named(suite: Path) -> None:
    write(folder_of(suite, "lstm") / "result.json", "{", NOW)
    write(suite / "planned-bleu.json", "{", NOW)
    text = " ".join(shown(suite, 400))
    assert f"{folder_of(suite, 'lstm') / 'result.json'} cannot be read" in text
    assert f"{suite / 'planned-bleu.json'} cannot be read" in text
    assert "1 unreadable" in text


def test_an_empty_store_waits_for_the_first_run(suite: Path) -> None:
    suite.mkdir(parents=True)
    assert shown(suite) == ["quick  waiting for the first run"]
    plan(suite, [folder_of(suite, "lstm")], NOW)
    assert shown(suite)[0] == ("quick  waiting for the first run  0 of 1 finished  1 waiting  time left not known yet")


def test_a_run_that_has_recorded_nothing_is_shown_too(suite: Path) -> None:
    begin(folder_of(suite, "lstm"), NOW - 5)
    assert shown(suite)[2:] == ["recall lstm seed 0", "  no step recorded yet  last line 5 s ago"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150, "2 min"),
        (3599, "1 h 00 min"),
        (7300, "2 h 02 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (19.33069, "19.33"),
        (5307.7, "5,308"),
        (-1234.5, "-1,234"),
        (1e-9, "1e-09"),
        (1e9, "1e+09"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


# The command


def test_a_suite_that_is_not_there_is_one_sentence(suite: Path) -> None:
    finish(folder_of(suite, "lstm"), NOW)
    for name in ("quikc", ""):
        with pytest.raises(SystemExit) as stopped:
            main(["--suite", name, "--runs", str(suite.parent)])
        assert isinstance(stopped.value.code, str)
        assert repr(name) in stopped.value.code
        assert "there: quick" in stopped.value.code
        assert "make bleu SUITE=" in stopped.value.code
        assert "\n" not in stopped.value.code


def test_help_explains(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("--suite", "--once", "q or Ctrl-C quits", "time left"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("arguments", [[], ["--once"]])
def test_without_a_terminal_one_plain_frame_is_printed(
    arguments: list[str],
    width: int,
    suite: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy(suite)
    monkeypatch.setenv("COLUMNS", str(width))
    main(["--suite", "quick", "--runs", str(suite.parent), *arguments])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "2 of 6 finished" in text
    assert max(map(len, text.splitlines())) <= width


def test_it_imports_neither_torch_nor_what_draws_the_report() -> None:
    script = (
        "import sys, analysis.watch.__main__; "
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, suite: Path, **environment: str) -> None:
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "analysis.watch.__main__", "--suite", suite.name, "--runs", str(suite.parent)]
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        size = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=kept | size | environment)
        os.close(slave)
        self.said = ""

    def read(self, until: str = "", seconds: float = 20.0) -> str:
        """Read until something is said, or else until the command ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and until in self.said):
            ready, _, _ = select.select([self.master], [], [], 0.05)
            try:
                self.said += os.read(self.master, 65536).decode("utf-8", "replace") if ready else ""
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not ready and self.process.poll() is not None:
                break
        assert until in self.said
        return self.said

    def ended(self) -> int:
        self.read()
        code = self.process.wait(20)
        os.close(self.master)
        return code


def test_q_quits_and_leaves_the_terminal_and_a_last_frame(suite: Path) -> None:
    busy(suite)
    terminal = Terminal(suite)
    terminal.read("q quits")
    os.write(terminal.master, b"xQ")
    assert terminal.ended() == 0
    screen, last = terminal.said.split("\x1b[?1049l")  # the second screen, on which it was drawn, is left
    assert "\x1b[?1049h" in screen
    assert "2 of 6 finished" in last.replace("\x1b[0m", "")
    assert "q quits" not in last


def test_ctrl_c_quits_as_well(suite: Path) -> None:
    busy(suite)
    terminal = Terminal(suite)
    terminal.read("q quits")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 0
    assert "\x1b[?1049l" in terminal.said
    assert "Traceback" not in terminal.said


def test_new_lines_are_seen_and_a_settled_suite_ends_the_view(suite: Path) -> None:
    now = time.time()
    folder = folder_of(suite, "lstm")
    plan(suite, [folder], now - 1000)
    begin(folder, now - 900, training([20]), now)
    terminal = Terminal(suite, NO_COLOR="1")
    terminal.read("step 20 of 1,000")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(training([40]))
    terminal.read("step 40 of 1,000")
    finish(folder, now - 100)
    assert terminal.ended() == 0
    assert "1 of 1 finished" in terminal.said.split("\x1b[?1049l")[1]
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", terminal.said)  # NO_COLOR


def test_a_dumb_terminal_gets_one_frame(suite: Path) -> None:
    busy(suite)
    terminal = Terminal(suite, TERM="dumb")
    assert terminal.ended() == 0
    assert "\x1b[?1049h" not in terminal.said
    assert terminal.said.count("2 of 6 finished") == 1


def test_a_keyboard_that_is_closed_quits_and_one_that_is_no_terminal_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        with keyboard() as pressed:
            assert pressed(0.01) == ""
            os.write(master, b"j")
            assert pressed(5) == "j"
            monkeypatch.setattr(os, "read", lambda *_: b"")
            os.write(master, b"j")
            assert pressed(5) == "q"
    os.close(master)
    monkeypatch.setattr(sys, "stdin", io.StringIO("q"))
    with keyboard() as pressed:
        assert pressed(0.0) == ""
