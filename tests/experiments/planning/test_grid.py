import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from datamodules.batch import Batch
from datamodules.synthetic import SyntheticData
from experiments.long_range.experiment import right_share
from experiments.planning import grid as plan
from experiments.planning.grid import EXPERIMENTS, Planned, plan_bleu, plan_tasks, read_suite
from experiments.planning.parser import build_parser
from models import Seq2SeqModule
from models.network import Network

SUITES = sorted(path.stem for path in (EXPERIMENTS / "suites").glob("*.yaml"))
LONG_RANGE = {name: grid["long-range"] for name in SUITES if "long-range" in (grid := read_suite(name))}
TASKS = [(name, task) for name, grid in LONG_RANGE.items() for task in grid["tasks"]]


def planned(name: str = "smoke", **changes: Any) -> list[Planned]:
    given: dict[str, Any] = {"models": [], "seeds": [], "direction": "", "root": "runs", "settings": [], **changes}
    return list(plan_bleu(name, **given))


def planned_long_range(name: str = "smoke", **changes: Any) -> list[Planned]:
    given: dict[str, Any] = {"tasks": [], "models": [], "seeds": [], "root": "runs", "settings": [], **changes}
    return list(plan_tasks("long-range", name, **given))


def optimisation(config: dict[str, Any], *tuned: str) -> dict[str, Any]:
    """What all models of a comparison share: without what is tuned for each."""
    values = config["model"]["init_args"]["optimisation"]
    return {name: value for name, value in values.items() if name not in tuned}


@pytest.mark.parametrize("name", SUITES)
def test_every_run_of_every_suite_is_valid_and_models_differ_by_themselves_and_their_learning_rate(name: str) -> None:
    grid, runs = read_suite(name)["bleu"], planned(name)
    assert len({run.key.folder for run in runs}) == len(runs) == len(grid["models"]) * len(grid["seeds"])
    parser = build_parser()
    configs = [parser.parse_args(run.arguments).as_dict() for run in runs]
    for run, config in zip(runs, configs, strict=True):
        assert config["run"]["model"] == run.key.model
        assert config["data"]["init_args"]["corpus"]["name"] in (grid["corpus"], "files")
        assert run.key.model in config["model"]["class_path"].lower()
        data, first = ({**c["data"]["init_args"], "seed": 0} for c in (config, configs[0]))
        assert data == first
        budget = {
            k: configs[0]["trainer"][k] * (1 + (run.key.variant == "doubled")) for k in ("max_steps", "validate_every")
        }
        assert config["trainer"] == configs[0]["trainer"] | budget
        for part in ("decoding", "validation_sentences"):
            assert config[part] == configs[0][part]
        assert optimisation(config, "learning_rate") == optimisation(configs[0], "learning_rate")


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


def write_mine(folder: Path, corpus: str, direction: str) -> None:
    """A suite of files of one's own."""
    (folder / "suites").mkdir()
    grid = f"bleu: {{corpus: mine, direction: {direction}, models: [lstm], seeds: [0]}}"
    (folder / "suites" / "mine.yaml").write_text(grid)
    configs = folder / "configs" / "bleu" / "mine"
    configs.mkdir(parents=True)
    (configs / "lstm.yaml").write_text("{}")
    (configs / "common.yaml").write_text(f"data: {{init_args: {{corpus: {{{corpus}}}}}}}")


@pytest.mark.parametrize(
    ("source", "target"), [("pt-br", "en"), ("en", "zh-Hant"), ("sr-Latn", "sr-Cyrl"), ("fr", "en")]
)
def test_files_name_their_languages_and_another_direction_is_refused(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "EXPERIMENTS", tmp_path)
    corpus = f"name: files, source_language: {source}, target_language: {target}"
    write_mine(tmp_path, corpus, f"{source}-{target}")
    (run,) = planned("mine")
    assert run.key.task == f"mine-{source}-{target}"
    given = [word.rpartition(".")[2] for word in run.overrides]
    assert given == [f"source_language={source}", f"target_language={target}"]
    for other in (f"{target}-{source}", "en-de", source):
        with pytest.raises(ValueError, match=rf"DIRECTION.* is '{other}', but the corpus .* is {source}-{target}"):
            planned("mine", direction=other)


@pytest.mark.parametrize(
    ("corpus", "complaint"),
    [
        ("name: files, source_language: fr", "names files, but not their source_language and target_language"),
        ("name: embedded", "DIRECTION.* is 'fr-en', but the corpus .* is en-de or de-en"),
        ("", "en-de or de-en"),
    ],
)
def test_a_corpus_without_the_direction_is_refused(
    corpus: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "EXPERIMENTS", tmp_path)
    write_mine(tmp_path, corpus, "fr-en")
    with pytest.raises(ValueError, match=complaint):
        planned("mine")


@pytest.mark.parametrize("name", LONG_RANGE)
def test_every_long_range_run_has_a_folder_of_its_own(name: str) -> None:
    grid, runs = LONG_RANGE[name], planned_long_range(name)
    number = sum(len(models) for models in grid["tasks"].values()) * len(grid["seeds"])
    assert len({run.key.folder for run in runs}) == len(runs) == number


def longest_of(data: SyntheticData) -> list[Batch]:
    """Two examples of the last point of each axis, every other point having been drawn as well."""
    for point in [*data.points, data.control]:
        assert data.in_distribution(point)
    assert all(data.task.chance(point) for axis in data.test for point in axis.points().values())
    return [[data.examples("test", point, 2) for point in axis.points().values()][-1] for axis in data.test]


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_every_long_range_run_is_valid_and_models_differ_by_themselves_and_what_was_tuned(name: str, task: str) -> None:
    """Without training: every network takes what is drawn, and those compared are of one size."""
    parser, tuned = build_parser(), ("learning_rate", "initialisation_scale")
    configs: dict[tuple[str, str], dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    for run in planned_long_range(name, tasks=[task], seeds=LONG_RANGE[name]["seeds"][:1]):
        parsed, model, variant = parser.parse_args(run.arguments), run.key.model, run.key.variant
        config = configs[model, variant] = parsed.as_dict()
        first = next(iter(configs.values()))
        cell = config["model"]["init_args"]["network"].get("cell")
        named = model.replace("bahdanau", "attention") if "decoder-only" in variant else model
        assert model == cell or named in config["model"]["class_path"].lower()
        assert config["data"]["init_args"]["seed"] == run.key.seed
        if variant.endswith("tenfold"):
            assert config["trainer"]["max_steps"] == 10 * first["trainer"]["max_steps"]
            assert config["model"] == configs[model, variant.removesuffix("tenfold").strip("-") or "base"]["model"]
        else:
            for part in ("data", "trainer", "decoding"):
                assert config[part] == first[part]
            assert optimisation(config, *tuned) == optimisation(first, *tuned)
        built = parser.instantiate(parsed)
        network: Network = built.model.network.eval()
        if len(configs) == 1 or variant == "tenfold":
            longest = longest_of(built.data)
        for examples in longest:
            share = right_share(network, examples, built.data.task)
            assert ((share >= 0) & (share <= 1)).all()
        if variant == "base" or variant.endswith("-only"):
            sizes[run.label] = sum(p.numel() for p in network.parameters())
    if name in ("quick", "full"):
        assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes


@pytest.mark.parametrize("name", ["quick", "full", "gpu"])
def test_language_models_are_valid_and_of_one_size(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("".join(map(chr, range(32, 97))) * 200)
    smaller = {"width64": 1, "hidden116": 1, "width32": 2, "hidden58": 2}
    parser, sizes = build_parser(), defaultdict[tuple[str, int], list[int]](list)
    for run in plan_tasks("language", name, [], [], [0], "runs", []):
        built: Seq2SeqModule = parser.instantiate(parser.parse_args(run.arguments)).model
        sizes[run.key.task, smaller.get(run.key.variant, 0)].append(sum(p.numel() for p in built.parameters()))
    for kind, found in sizes.items():
        assert len(found) > 1
        assert max(found) < 1.05 * min(found), kind


def test_a_task_takes_the_values_that_were_chosen_on_the_task_whose_name_it_extends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "configs"
    shutil.copytree(plan.configs_of("language", "full"), copied, ignore=shutil.ignore_patterns("tuned"))
    monkeypatch.setattr(plan, "configs_of", lambda *_: copied)
    chosen = copied / "tuned" / "shakespeare" / "lstm-hidden58.json"
    chosen.parent.mkdir(parents=True)
    chosen.touch()
    for task in plan.tasks_in("language", "full"):
        (run,) = plan_tasks("language", "full", [task], ["lstm-hidden58"], [0], "runs", [])
        assert (run.configs[-1] == chosen) == task.startswith("shakespeare"), task


@pytest.mark.parametrize(
    ("task", "tuned"), [("copy", "copy"), ("selective-copy", "selective-copy"), ("copy-8-far", "copy"), ("cop", "cop")]
)
def test_only_a_whole_name_is_extended(task: str, tuned: str) -> None:
    assert plan.tuned_task(task, ["copy", "selective-copy", "copy-8", "copy-8-far", "cop"]) == tuned


def test_a_plan_of_long_range_runs_ends_a_seed_before_the_next() -> None:
    runs = planned_long_range(tasks=["recall"], models=["lstm", "rnn"], seeds=[1, 2])
    assert [(run.key.model, run.key.seed) for run in runs] == [("lstm", 1), ("rnn", 1), ("lstm", 2), ("rnn", 2)]
    assert runs[0].key.command == "make long-range SUITE=smoke TASKS=recall MODELS=lstm SEEDS=1"
    assert str(runs[0].key.folder) == "runs/smoke/long-range/recall/lstm/base/seed1"


def test_a_variant_is_its_model_with_something_changed_and_tuned_values_are_read_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs" / "long_range" / "mine"
    files = ["common", "tasks/recall", "models/lstm", "models/lstm/wide", "tuned/recall/lstm", "tenfold/recall"]
    for file in files:
        path = folder / f"{file}.{'json' if 'tuned' in file else 'yaml'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "suites").mkdir()
    tasks = "{recall: [lstm, lstm-wide, lstm-wide-tenfold], copy: [lstm]}"
    grid = f"long-range: {{seeds: [0], tasks: {tasks}}}"
    (tmp_path / "suites" / "mine.yaml").write_text(grid)
    monkeypatch.setattr(plan, "EXPERIMENTS", tmp_path)
    (folder / "tasks" / "copy.yaml").touch()
    base, wide, longer, untuned = planned_long_range("mine")
    assert [path.relative_to(folder).with_suffix("").as_posix() for path in wide.configs] == files[:-1]
    assert set(longer.configs) == {*wide.configs, folder / "tenfold" / "recall.yaml"}
    assert longer.configs.index(folder / "tenfold" / "recall.yaml") > longer.configs.index(folder / "tasks/recall.yaml")
    assert [path.stem for path in base.configs] == ["common", "recall", "lstm", "lstm"]
    assert [path.stem for path in untuned.configs] == ["common", "copy", "lstm"]
    (folder / "tuned" / "recall" / "lstm-wide.json").touch()  # trials of its own
    _, wide, longer, _ = planned_long_range("mine")
    assert {run.configs[-1] for run in (wide, longer)} == {folder / "tuned" / "recall" / "lstm-wide.json"}
    assert (wide.key.model, wide.key.variant) == ("lstm", "wide")


def test_a_budget_that_a_suite_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="SUITE=gpu has a budget of its own, which is not doubled"):
        planned("gpu", models=["lstm-doubled"])
    with pytest.raises(
        ValueError, match="copy has no budget of ten times; tasks of SUITE=full with one: inference, parity, reverse"
    ):
        planned_long_range("full", tasks=["copy"], models=["lstm-tenfold"])


def test_a_variant_of_a_variant_is_built_on_it_and_has_its_values() -> None:
    (run,) = planned_long_range("full", tasks=["transfer-512"], models=["lstm-decoder-only-pretrained"], seeds=[0])
    names = [path.relative_to(EXPERIMENTS / "configs" / "long_range" / "full").as_posix() for path in run.configs]
    assert names == [
        "common.yaml",
        "tasks/transfer-512.yaml",
        "models/lstm/decoder-only.yaml",
        "models/lstm/decoder-only-pretrained.yaml",
        "tuned/transfer-512/lstm-decoder-only-pretrained.json",
    ]


def test_what_a_run_starts_from_is_planned_before_it_with_the_same_network() -> None:
    parser, made = build_parser(), {}
    for experiment in ("language", "long-range"):  # the order of make full
        for run in plan_tasks(experiment, "full", [], [], [], "runs", []):
            config = parser.parse_args(run.arguments)
            made[f"{experiment}/{run.key.task}/{run.key.system}", run.key.seed] = config.model.init_args.network
            if config.starts_from:
                assert made[config.starts_from, run.key.seed] == config.model.init_args.network
