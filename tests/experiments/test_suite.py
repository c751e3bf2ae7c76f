import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from experiments import suite
from experiments.launch import local
from experiments.launch.exit_codes import BUSY, FAILED
from experiments.planning import grid
from experiments.planning.grid import Planned
from experiments.suite import main
from experiments.training.trainer import TrainerSettings
from tests.support.readme import ROOT
from tests.support.waiting import wait

FOLDERS = {model: f"smoke/bleu/embedded-en-de/{model}/base/seed1" for model in ("lstm", "bahdanau", "transformer")}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Planned]:
    """The runs that are started, in order; each ends at once, and well unless its seed is 13 (failed) or 75 (busy)."""
    started: list[Planned] = []

    def run(one: Planned, position: str, *_: object) -> int:
        print(position)
        started.append(one)
        return {13: FAILED, 75: BUSY}.get(one.key.seed, 0)

    monkeypatch.setattr(local, "run_one", run)
    return started


@pytest.mark.parametrize(("mode", "stage"), [("ofline", "bleu"), ("Online", "long-range"), ("dryrun", "report")])
def test_a_mistyped_wandb_mode_is_refused_before_anything_is_run(
    mode: str, stage: str, ran: list[Planned], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(SystemExit) as stopped:
        main([stage, "--suite", "smoke", "--root", str(tmp_path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: WANDB_MODE is '{mode}'; choose one of online, offline, disabled.\n"
    assert not ran
    assert not list(tmp_path.iterdir())


def test_precisions_are_those_of_the_trainer_and_a_seed_counts_once(ran: list[Planned], tmp_path: Path) -> None:
    assert get_args(get_type_hints(TrainerSettings)["precision"]) == suite.PRECISIONS
    main(["bleu", "--suite", "smoke", "--models", "lstm", "--seeds", "1 1 01", "--root", str(tmp_path)])
    assert [one.key.seed for one in ran] == [1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bleu --seeds abc", ["SEEDS", "'abc'"]),
        *((f"bleu --seeds '{text}'", ["SEEDS", f"'{text}'"]) for text in ("0 1.5", "-1", "0,1", "²", f"{2**32}")),
        *((f"{stage} --precision bf16", ["PRECISION", "'bf16'", "bf16-mixed"]) for stage in ("bleu", "long-range")),
        ("bleu --suite nonsense", ["SUITE", "'nonsense'", "quick", "full"]),
        ("bleu --models nonsense", ["MODELS", "'nonsense'", "lstm", "bahdanau", "transformer"]),
        ("bleu --models 'lstm common'", ["MODELS", "'common'"]),
        ("bleu --direction xx", ["DIRECTION", "'xx'", "en-de"]),
        ("bleu --direction en-", ["DIRECTION", "'en-'", "en-de"]),
        ("long-range --tasks recal", ["TASKS", "'recal'", "recall", "copy"]),
        ("language --tasks copy", ["TASKS", "'copy'", "make long-range SUITE=quick TASKS=copy"]),
        ("long-range --tasks stories", ["TASKS", "'stories'", "make language SUITE=quick TASKS=stories"]),
        ("long-range --models lstm-huge", ["MODELS", "'lstm-huge'", "lstm", "transformer"]),
        *((f"bleu --devices {text}", ["DEVICES", f"'{text}'"]) for text in ("x", "0", "1.5")),
        *((f"bleu --jobs {text}", ["JOBS", f"'{text}'"]) for text in ("many", "0", "-1")),
        *((f"bleu --timeout {text}", ["TIMEOUT", f"'{text}'"]) for text in ("-1", "hour", "inf", "nan", "0")),
        ("bleu --launcher slurm", ["LAUNCHER", "'slurm'", "local", "ray"]),
        ("bleu --model lstm", ["--model"]),
        ("nothing", ["'nothing'", "bleu", "report"]),
    ],
)
def test_what_a_user_mistypes_is_one_sentence_and_nothing_is_run(
    words: str, said: list[str], ran: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, *rest = words.split(" ", 2)
    with pytest.raises(SystemExit) as stopped:
        main([stage, *(word.strip("'") for word in rest), "--root", str(tmp_path)])
    assert stopped.value.code == 2  # a mistake: what failed ends with 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert all(word in message for word in said), message
    assert not ran
    assert not [*tmp_path.iterdir()]


def test_a_suite_without_the_experiment_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grid, "read_suite", lambda _: {"speed": {}})
    with pytest.raises(SystemExit, match="2"):
        main(["bleu"])
    assert "speed" in capsys.readouterr().err


def smoke(root: Path, *words: str) -> int:
    return main([*words, "--suite", "smoke", "--root", str(root)])


def test_a_failure_is_listed_and_the_others_are_run(
    ran: list[Planned], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert smoke(tmp_path, "bleu", "--models", "lstm transformer", "--seeds", "13 0") == FAILED
    assert [(one.key.model, one.key.seed) for one in ran] == [
        ("lstm", 13), ("transformer", 13), ("lstm", 0), ("transformer", 0)
    ]  # fmt: skip
    said = capsys.readouterr()
    assert "2 of 4 runs failed" in said.err
    assert "the same command runs these again" in said.err
    assert str(tmp_path / "smoke" / "bleu" / "embedded-en-de" / "lstm" / "base" / "log-seed13.txt") in said.err
    assert "seed 0" not in said.err
    assert "[4/4]" in said.out


def test_runs_of_another_process_are_listed_and_are_no_failures(
    ran: list[Planned], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("bleu", "--models", "lstm", "--seeds")
    assert smoke(tmp_path, *words, "0 75") == BUSY
    said = capsys.readouterr().err
    assert "1 of 2 runs are being run by another process" in said
    assert "failed" not in said
    assert smoke(tmp_path, *words, "13 75") == FAILED
    assert smoke(tmp_path, *words, "0") == 0


def test_finished_runs_are_counted_and_a_suite_announces_its_runs_and_those_left(
    ran: list[Planned], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(suite, "finished", lambda runs: [one.key.model == "lstm" for one in runs])
    begun = datetime.now(UTC).replace(microsecond=0)
    assert smoke(tmp_path, "bleu", "--seeds", "1") == 0
    assert [one.key.model for one in ran] == ["bahdanau", "transformer"]
    said = capsys.readouterr()
    assert "finished already: 1 of 3 bleu runs" in said.out
    assert said.err == ""
    path = tmp_path / "smoke" / "planned-bleu.json"
    announced = json.loads(path.read_text())
    assert begun <= datetime.fromisoformat(str(announced["started"])) <= datetime.now(UTC)
    assert announced["runs"] == list(FOLDERS.values())
    assert announced["left"] == [FOLDERS["bahdanau"], FOLDERS["transformer"]]
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing temporary is left


@pytest.mark.parametrize("stages", [("language", "long-range"), ("long-range", "language")])
def test_what_starts_from_another_run_waits_for_it_and_is_run_again_with_it(
    stages: tuple[str, str], ran: list[Planned], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def finished(runs: list[Planned]) -> list[bool]:  # only the LSTM that reads stories is not
        return [one.key.experiment == "long-range" or one.key.model != "lstm" for one in runs]

    monkeypatch.setattr(suite, "finished", finished)
    words = ["--suite", "full", "--seeds", "0 1", "--jobs", "1", "--root", str(tmp_path)]
    monkeypatch.setattr(suite, "plan_tasks", partial(of_its_own_tasks, suite.plan_tasks))
    assert main([*stages, *words]) == 0
    assert [one.label for one in ran] == [
        "stories-short lstm small seed 0",
        "stories-short lstm small seed 1",
        "transfer-512 lstm decoder-only-pretrained seed 0",
        "transfer-512 lstm decoder-only-pretrained seed 1",
    ]


def of_its_own_tasks(plan: Callable[..., Iterator[Planned]], experiment: str, *words: Any) -> Iterator[Planned]:
    suite, _, *others = words
    return plan(experiment, suite, ["stories-short" if experiment == "language" else "transfer-512"], *others)


def test_settings_reach_the_runs_they_concern(ran: list[Planned], tmp_path: Path) -> None:
    given = {"devices": "4", "precision": "32-true", "direction": "de-en", "seeds": "5"}
    smoke(tmp_path, "bleu", "long-range", "--tasks", "recall", "--models", "lstm", *(
        word for name, value in given.items() for word in (f"--{name}", value)
    ))  # fmt: skip
    translation, recall = sorted(ran, key=lambda one: one.key.experiment)
    both = {"--trainer.devices=4", "--trainer.precision=32-true"}
    assert set(recall.overrides) == both
    assert set(translation.overrides) > both
    assert (translation.key.task, translation.key.seed, recall.key.seed) == ("embedded-de-en", 5, 5)


STAGES = ["contrastive", "inspect", "speed", "report"]


@pytest.mark.parametrize(
    ("codes", "carried_out", "status"),
    [
        ([0, 0, 0, 0], 4, 0),
        ([0, 1, 0, 0], 4, 1),
        ([1, 75, 0, 0], 4, 75),
        ([75, 1, 0, 0], 4, 1),
        ([0, 2, 0, 0], 2, 2),
        ([1, 130, 0, 0], 2, 130),
        ([143, 0, 0, 0], 1, 143),
        ([-9, 0, 0, 0], 1, 137),
    ],
)
def test_a_failure_does_not_keep_later_stages_from_being_done_a_mistake_and_an_interruption_do(
    codes: list[int], carried_out: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages that are programs of their own; here each ends by a code, or kills itself."""
    (tmp_path / "mark.py").write_text(
        "import os, sys, pathlib\n"
        "here = pathlib.Path(__file__).parent; ran = len([*here.glob('ran*')]); (here / f'ran{ran}').touch()\n"
        f"code = {codes}[ran]\n"
        "os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)\n"
    )
    monkeypatch.setattr(suite, "MODULES", dict.fromkeys(STAGES, "mark"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert smoke(tmp_path, *STAGES) == status
    assert len([*tmp_path.glob("ran*")]) == carried_out


def test_contrastive_translation_after_long_range_tells_what_it_needs(
    ran: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(tmp_path, "long-range", "contrastive", "--tasks", "recall", "--models", "lstm") == 0
    assert "make bleu SUITE=smoke, then make contrastive SUITE=smoke" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)])
def test_a_request_to_end_reaches_the_stage_which_may_save_first(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    (tmp_path / "saves.py").write_text(
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n"
        "    time.sleep(0.2); pathlib.Path('saved').touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save); pathlib.Path('begun').touch(); time.sleep(60)\n"
    )
    (tmp_path / "next.py").write_text("import pathlib; pathlib.Path('next').touch()")
    program = (
        "import sys; from experiments import suite; suite.MODULES = {'speed': 'saves', 'report': 'next'}\n"
        "sys.exit(suite.main(['speed', 'report', '--suite', 'smoke']))"
    )
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=variables)
    try:
        wait((tmp_path / "begun").exists)
        time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(30) == code
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()
