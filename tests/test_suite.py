import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments import suite
from experiments.run import build_parser
from experiments.suite import (
    HERE,
    Planned,
    Running,
    jobs_at_once,
    main,
    plan_bleu,
    plan_long_range,
    read_suite,
    run_all,
    run_one,
)
from models import Seq2SeqModule

SUITES = sorted(path.stem for path in (HERE / "suites").glob("*.yaml"))


def planned(name: str = "smoke", **changes: Any) -> list[Planned]:
    given: dict[str, Any] = {"models": [], "seeds": [], "direction": "", "root": "runs", "settings": [], **changes}
    return list(plan_bleu(name, **given))


def planned_long_range(name: str = "smoke", **changes: Any) -> list[Planned]:
    given: dict[str, Any] = {"tasks": [], "models": [], "seeds": [], "root": "runs", "settings": [], **changes}
    return list(plan_long_range(name, **given))


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


@pytest.mark.parametrize("name", SUITES)
def test_every_long_range_run_of_every_suite_is_a_valid_configuration(name: str) -> None:
    grid, runs = read_suite(name)["long-range"], planned_long_range(name)
    assert len(runs) == sum(len(models) for models in grid["tasks"].values()) * len(grid["seeds"])
    assert len({run.key.folder for run in runs}) == len(runs)
    parser = build_parser()
    for run in runs:
        if run.key.seed == grid["seeds"][0]:
            config = parser.parse_args(run.arguments)
            network = config.model.init_args.network
            assert run.key.model in (*config.model.class_path.lower().split("."), network.get("cell")) or (
                run.key.model in config.model.class_path.lower()
            )
            assert config.data.init_args.seed == run.key.seed


def long_range_parts(name: str) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Parsed configurations of the first seed by task and (model, variant)."""
    parser, seed = build_parser(), read_suite(name)["long-range"]["seeds"][0]
    parts: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for run in planned_long_range(name, seeds=[seed]):
        config = parser.parse_args(run.arguments).as_dict()
        parts.setdefault(run.key.task, {})[run.key.model, run.key.variant] = config
    return parts


@pytest.mark.parametrize("name", SUITES)
def test_long_range_models_differ_by_the_model_and_what_was_tuned_alone(name: str) -> None:
    for configs in long_range_parts(name).values():
        first, *others = configs.values()
        for config in others:
            for part in ("data", "trainer", "decoding"):
                assert config[part] == first[part]
            optimisations = [dict(c["model"]["init_args"]["optimisation"]) for c in (first, config)]
            for optimisation in optimisations:
                del optimisation["learning_rate"], optimisation["initialisation_scale"]
            assert optimisations[0] == optimisations[1]
        for (model, _), config in configs.items():
            base = configs[model, "base"]["model"]["init_args"]
            assert config["model"]["init_args"]["optimisation"] == base["optimisation"]


@pytest.mark.parametrize("name", ["quick", "full"])
def test_long_range_models_are_of_one_size(name: str) -> None:
    parser = build_parser()
    for task in read_suite(name)["long-range"]["tasks"]:
        sizes = {}
        for run in planned_long_range(name, tasks=[task], seeds=[0]):
            if run.key.variant == "base":
                built: Seq2SeqModule = parser.instantiate(parser.parse_args(run.arguments)).model
                sizes[run.key.model] = sum(p.numel() for p in built.parameters())
        assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes


def test_a_plan_of_long_range_runs_ends_a_seed_before_the_next() -> None:
    runs = planned_long_range(tasks=["recall"], models=["lstm", "rnn"], seeds=[1, 2])
    assert [(run.key.model, run.key.seed) for run in runs] == [("lstm", 1), ("rnn", 1), ("lstm", 2), ("rnn", 2)]
    assert runs[0].key.command == "make long-range SUITE=smoke TASKS=recall MODELS=lstm SEEDS=1"
    assert str(runs[0].key.folder) == "runs/smoke/long-range/recall/lstm/base/seed1"


def test_a_variant_is_its_model_with_something_changed_and_tuned_values_are_read_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs" / "long_range" / "mine"
    files = ["common", "tasks/recall", "models/lstm", "models/lstm-wide", "tuned/recall/lstm"]
    for file in files:
        path = folder / f"{file}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "suites").mkdir()
    tasks = "{recall: [lstm, lstm-wide], copy: [lstm], far: [lstm]}"
    grid = f"long-range: {{seeds: [0], tuned_as: {{far: recall}}, tasks: {tasks}}}"
    (tmp_path / "suites" / "mine.yaml").write_text(grid)
    monkeypatch.setattr(suite, "HERE", tmp_path)
    for task in ("copy", "far"):
        (folder / "tasks" / f"{task}.yaml").touch()
    base, wide, untuned, far = planned_long_range("mine")
    assert [path.relative_to(folder).with_suffix("").as_posix() for path in wide.configs] == files
    assert [path.stem for path in base.configs] == ["common", "recall", "lstm", "lstm"]
    assert [path.stem for path in untuned.configs] == ["common", "copy", "lstm"]
    assert far.configs[-1] == base.configs[-1] == folder / "tuned" / "recall" / "lstm.yaml"
    assert (wide.key.model, wide.key.variant) == ("lstm", "wide")


def refused(experiment: str = "bleu", **arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(experiment, **arguments)  # type: ignore[arg-type]
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
    monkeypatch.setattr(suite, "run_one", lambda *_: pytest.fail("ran"))
    message = refused(**arguments)
    assert all(word in message for word in said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tasks": "recal"}, ["TASKS", "'recal'", "recall", "copy"]),
        ({"models": "lstm-huge"}, ["MODELS", "'lstm-huge'", "lstm", "transformer"]),
        ({"seeds": "-"}, ["SEEDS", "'-'"]),
        ({"jobs": "many"}, ["JOBS", "'many'"]),
        ({"jobs": "0"}, ["JOBS", "'0'"]),
    ],
)
def test_what_a_user_mistypes_about_long_range_is_one_sentence(
    arguments: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "run_one", lambda *_: pytest.fail("ran"))
    message = refused("long-range", **arguments)
    assert all(word in message for word in said)


def test_small_runs_take_a_core_each_and_others_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite.os, "cpu_count", lambda: 4)
    assert [jobs_at_once("", "bleu"), jobs_at_once("", "long-range"), jobs_at_once("3", "bleu")] == [1, 4, 3]


def test_a_suite_without_the_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "read_suite", lambda _: {"speed": {}})
    assert "speed" in refused()


def test_a_failure_is_listed_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[str] = []

    def run(one: Planned, position: str, *_: object) -> int:
        print(position)
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
    assert "[4/4]" in said.out


def test_a_suite_that_went_well_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(suite, "run_one", lambda *_: 0)
    main("bleu", "smoke", root=str(tmp_path))
    assert capsys.readouterr().err == ""


def test_finished_runs_are_counted_and_not_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(suite, "finished", lambda arguments: "--run.model=lstm" in arguments)
    monkeypatch.setattr(suite, "run_one", lambda one, *_: ran.append(one.key.model) or 0)
    main("bleu", "smoke", root=str(tmp_path))
    assert sorted(ran) == ["bahdanau", "transformer"]
    assert "finished already: 1 of 3 bleu runs" in capsys.readouterr().out


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_ends_the_suite(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Planned] = []

    def run(one: Planned, *_: object) -> int:
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
    assert run_one(one, "[1/3]", 2, Running()) == 3
    log = one.key.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == " ".join(["-m", "experiments.run", *one.arguments])
    assert log[1:] == ["Straße", f"glibc.malloc.check=1:{suite.KEEP_MEMORY}"]
    assert capsys.readouterr().out.splitlines() == [f"[1/3] {one.label}", *(f"      {line}" for line in log)]
    assert run_one(one, "[1/3]", 2, Running()) == 3
    assert len(one.key.log.read_text(encoding="utf-8").splitlines()) == 6  # an earlier log is kept


def test_a_run_gets_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, 'echo "threads $OMP_NUM_THREADS"', monkeypatch)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(suite.os, "cpu_count", lambda: 8)
    runs = planned(root=str(tmp_path / "runs"), seeds=[0, 1])
    assert run_all(runs, 4) == []
    assert {one.key.log.read_text() for one in runs} == {"threads 2\n"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_terminates_what_runs_waits_for_it_and_starts_nothing_more(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"trap 'touch {tmp_path}/ended$$; exit 143' TERM; touch {tmp_path}/begun$$; while :; do sleep 0.05; done"
    stand_in(tmp_path, script, monkeypatch)

    def press(*_: object) -> None:
        while len(list(tmp_path.glob("begun*"))) < jobs:
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "as_completed", press)
    with pytest.raises(SystemExit) as stopped:
        run_all(planned(root=str(tmp_path / "runs")), jobs)
    assert stopped.value.code == 130
    assert len(list(tmp_path.glob("begun*"))) == len(list(tmp_path.glob("ended*"))) == jobs


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the suite that asks the run to end: after a whole step."""
    group = tmp_path / "group"
    stand_in(tmp_path, f'exec {sys.executable} -c "import os; open({str(group)!r}, \'w\').write(str(os.getpgid(0)))"',
             monkeypatch)  # fmt: skip
    assert run_one(planned(root=str(tmp_path / "runs"))[0], "[1/1]", 1, Running()) == 0
    assert int(group.read_text()) != os.getpgid(0)
