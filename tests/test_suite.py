import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments import suite
from experiments.run import build_parser
from experiments.suite import HERE, Planned, main, plan, read_suite, run_all, run_one

SUITES = sorted(path.stem for path in (HERE / "suites").glob("*.yaml"))


def planned(name: str = "smoke", **changes: Any) -> list[Planned]:
    given: dict[str, Any] = {"models": [], "seeds": [], "direction": "", "root": "runs", "settings": [], **changes}
    return list(plan("bleu", name, **given))


def test_there_are_the_suites_that_are_promised() -> None:
    assert {"smoke", "quick", "full"} <= set(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_every_run_of_every_suite_is_a_valid_configuration(name: str) -> None:
    grid, runs = read_suite(name)["bleu"], planned(name)
    assert len(runs) == len(grid["models"]) * len(grid["seeds"])
    assert len({run.key.folder for run in runs}) == len(runs)
    parser = build_parser()
    for run in runs:
        config = parser.parse_args(run.arguments)
        assert config.run.model == run.key.model
        assert config.data.init_args.corpus.name == grid["corpus"]
        assert run.key.model in config.model.class_path.lower()


@pytest.mark.parametrize("name", SUITES)
def test_models_that_are_compared_differ_by_the_model_alone(name: str) -> None:
    parser = build_parser()
    configs = [parser.parse_args(run.arguments).as_dict() for run in planned(name)]
    for part in ("data", "trainer", "decoding", "validation_sentences"):
        assert all(config[part] == configs[0][part] for config in configs)


def test_a_plan_names_models_seeds_direction_and_how_to_make_it_again() -> None:
    runs = planned(models=["lstm", "transformer"], seeds=[3, 4], direction="de-en", settings=["--trainer.devices=2"])
    assert [(run.key.model, run.key.seed) for run in runs] == [
        ("lstm", 3), ("transformer", 3), ("lstm", 4), ("transformer", 4)
    ]  # fmt: skip
    assert runs[0].key.command == "make bleu SUITE=smoke MODELS=lstm SEEDS=3 DIRECTION=de-en"
    assert runs[0].key.task == "embedded-de-en"
    assert "--trainer.devices=2" in runs[0].arguments
    config = build_parser().parse_args(runs[0].arguments)
    assert config.data.init_args.corpus.source_language == "de"
    assert config.data.init_args.corpus.target_language == "en"
    assert config.trainer.devices == 2
    assert config.run.command == runs[0].key.command


def refused(**arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main("bleu", **arguments)
    assert isinstance(stopped.value.code, str)  # Python prints it and exits with 1
    assert stopped.value.code.startswith("error: ")
    assert "\n" not in stopped.value.code
    return stopped.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seeds": "abc"}, ["SEEDS", "'abc'", "0 1 2"]),
        ({"seeds": "0 1.5"}, ["SEEDS", "'0 1.5'"]),
        ({"suite": "nonsense"}, ["SUITE", "'nonsense'", "quick", "full"]),
        ({"models": "nonsense"}, ["MODELS", "'nonsense'", "lstm", "bahdanau", "transformer"]),
        ({"models": "lstm common"}, ["MODELS", "'common'"]),
        ({"direction": "xx"}, ["DIRECTION", "'xx'", "en-de"]),
        ({"direction": "en-"}, ["DIRECTION", "'en-'", "en-de"]),
    ],
)
def test_what_a_user_mistypes_is_one_sentence_and_nothing_is_run(
    arguments: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "run_one", lambda _: pytest.fail("ran"))
    message = refused(**arguments)
    assert all(word in message for word in said)


def test_a_suite_without_the_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "read_suite", lambda _: {"speed": {}})
    assert "speed" in refused()


def test_a_failure_is_listed_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[str] = []

    def run(one: Planned) -> int:
        ran.append(one.key.model)
        return int(one.key.model == "lstm")

    monkeypatch.setattr(suite, "run_one", run)
    with pytest.raises(SystemExit) as stopped:
        main("bleu", "smoke", models="lstm transformer", seeds="0 1", root=str(tmp_path))
    assert stopped.value.code == 1
    assert ran == ["lstm", "transformer", "lstm", "transformer"]
    said = capsys.readouterr()
    assert "2 of 4 runs failed" in said.err
    assert str(tmp_path / "smoke" / "bleu" / "embedded-en-de" / "lstm" / "base" / "log-seed1.txt") in said.err
    assert "transformer" not in said.err
    assert "[4/4] embedded-en-de transformer base seed 1" in said.out


def test_a_suite_that_went_well_ends_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(suite, "run_one", lambda _: 0)
    main("bleu", "smoke")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_ends_the_suite(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Planned] = []

    def run(one: Planned) -> int:
        ran.append(one)
        return code

    monkeypatch.setattr(suite, "run_one", run)
    with pytest.raises(SystemExit) as stopped:
        run_all(planned())
    assert stopped.value.code == code
    assert len(ran) == 1


def stand_in(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another interpreter than Python: what a run would be started with."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(suite.sys, "executable", str(program))


def test_what_a_run_says_is_shown_and_kept_and_its_exit_code_is_that_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, 'echo "$@"; echo "Straße" >&2; echo "$GLIBC_TUNABLES"; exit 3', monkeypatch)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    one = planned(root=str(tmp_path / "runs"))[0]
    assert run_one(one) == 3
    log = one.key.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == " ".join(["-m", "experiments.run", *one.arguments])
    assert log[1:] == ["Straße", f"glibc.malloc.check=1:{suite.KEEP_MEMORY}"]
    assert capsys.readouterr().out.splitlines() == [f"      {line}" for line in log]
    assert run_one(one) == 3
    assert len(one.key.log.read_text(encoding="utf-8").splitlines()) == 6  # an earlier log is kept


def test_ctrl_c_terminates_the_run_and_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tmp_path / "ended"
    stand_in(tmp_path, f"trap 'touch {ended}; exit 143' TERM; echo going; while :; do sleep 0.05; done", monkeypatch)

    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "print", press, raising=False)
    assert run_one(planned(root=str(tmp_path / "runs"))[0]) == 130
    assert ended.exists()


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the suite that asks the run to end: after a whole step."""
    group = tmp_path / "group"
    stand_in(tmp_path, f'exec {sys.executable} -c "import os; open({str(group)!r}, \'w\').write(str(os.getpgid(0)))"',
             monkeypatch)  # fmt: skip
    assert run_one(planned(root=str(tmp_path / "runs"))[0]) == 0
    assert int(group.read_text()) != os.getpgid(0)
