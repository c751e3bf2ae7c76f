"""Every suite and every configuration is read, built and trained for a step; mistakes are errors that name the key."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import Namespace

from datamodules.embedded import corpus as embedded
from experiments.planning import grid as plan
from experiments.planning.grid import Planned, models_in, plan_bleu, plan_tasks, read_suite
from experiments.planning.parser import build_parser
from experiments.run import main
from experiments.speed.cost.recipe import build
from experiments.training.trainer import TrainerSettings, build_trainer
from tests.support.readme import ROOT, files_to_write
from tests.support.refusals import refusal

EXPERIMENTS = ROOT / "experiments"
SUITES = sorted(path.stem for path in (EXPERIMENTS / "suites").glob("*.yaml"))
CONFIGS = sorted((EXPERIMENTS / "configs").rglob("*.yaml"))
BLEU = EXPERIMENTS / "configs" / "bleu"
MODELS = [(suite.name, name) for suite in sorted(BLEU.iterdir()) for name in models_in(suite)]
PAPERS = [(suite, name) for suite, name in MODELS if suite == "paper"]
each_paper = pytest.mark.parametrize(("suite", "name"), PAPERS)
LONG_RANGE = [
    run
    for name in SUITES
    if "long-range" in read_suite(name)
    for run in plan_tasks("long-range", name, [], [], [0], "runs", [])
]


def planned(suite: str, name: str, settings: list[str] | None = None) -> Planned:
    """The run that a model's configuration describes."""
    return next(plan_bleu(suite, [name], [0], "", "runs", settings or []))


def parse(suite: str, name: str) -> Namespace:
    return build_parser().parse_args(planned(suite, name).arguments)


@pytest.fixture
def small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SIZES", {"train": 300, "val": 20, "test": 20})


@pytest.mark.parametrize(("suite", "name"), MODELS)
def test_a_configuration_survives_being_written_and_read(suite: str, name: str) -> None:
    parser = build_parser()
    config = parser.parse_args(planned(suite, name).arguments)
    again = parser.parse_object(yaml.safe_load(parser.dump(config, skip_unset=False)))
    config.pop("config"), again.pop("config", None)
    assert again.as_dict() == config.as_dict()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first configuration leaves its corpus and tokenizers to the others."""
    return tmp_path_factory.mktemp("cache")


TRAINED_BELOW = [each for each in MODELS if each[0] not in ("paper", "smoke")]  # those of smoke by the tests of a run


@pytest.mark.parametrize(("suite", "name"), TRAINED_BELOW)
def test_a_configuration_builds_and_trains_a_step(
    suite: str, name: str, small_corpus: None, cache: Path, tmp_path: Path
) -> None:
    small = ["--data.init_args.corpus.name=embedded", "--data.init_args.tokenizer.vocab_size=300"]
    small += ["--data.init_args.max_tokens=150", f"--data.init_args.cache_dir={cache}"]
    parser = build_parser()
    built = parser.instantiate(parser.parse_args(planned(suite, name, small).arguments))
    settings = TrainerSettings(1, 1, "val/loss", "min", accelerator="cpu", precision="32-true")
    before = [p.detach().clone() for p in built.model.parameters()]
    trainer = build_trainer(settings, tmp_path, [], [])
    trainer.fit(built.model, datamodule=built.data)
    assert trainer.global_step == 1
    assert any((old != new).any() for old, new in zip(before, built.model.parameters(), strict=True))


def test_the_models_of_full_have_equal_depth_and_parameters() -> None:
    sizes, depths, steps = {}, {}, {}
    for name in models_in(BLEU / "full"):
        config = parse("full", name)
        steps[name] = config.trainer.max_steps
        sizes[name] = sum(p.numel() for p in build(config).network.parameters())
        network = config.model.init_args.network
        layers = ("layers", "encoder_layers", "decoder_layers")
        if "prefix" not in network:  # one stack is deeper than each of two
            depths[name] = {network[name] for name in layers if name in network}
    assert {"lstm", "bahdanau", "transformer"} <= set(sizes)
    for name in ("lstm", "bahdanau"):
        assert steps.pop(f"{name}-doubled") == 2 * steps[name]
    assert len(set(steps.values())) == 1
    assert max(sizes.values()) < 1.05 * min(sizes.values())
    assert set(map(frozenset, depths.values())) == {frozenset({2})}


@each_paper
def test_a_recipe_for_wmt14_has_its_vocabulary_its_tokens_a_step_and_its_papers_peak(suite: str, name: str) -> None:
    config = parse(suite, name)
    logits = build(config).network.get_submodule("output")
    assert isinstance(logits, torch.nn.Linear)
    assert logits.out_features == 37_000
    trainer, optimisation = config.trainer, config.model.init_args.optimisation
    assert trainer.devices * trainer.num_nodes * trainer.accumulate * config.data.init_args.max_tokens == 25_000
    if name.startswith("transformer"):
        width = config.model.init_args.network.width
        assert optimisation.learning_rate == pytest.approx((width * 4000) ** -0.5, rel=1e-3)
        assert optimisation.warmup_steps == 4000


def test_wmt14_is_missing_until_its_files_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parser = build_parser()
    with pytest.raises(FileNotFoundError, match=r"data/wmt14/train\.en\.gz is missing"):
        parser.instantiate(parser.parse_args(planned(*PAPERS[0]).arguments))


def test_every_long_range_file_is_part_of_a_run() -> None:
    used = {path for run in LONG_RANGE for path in run.configs}
    trials = set((EXPERIMENTS / "configs" / "long_range").rglob("*.json"))
    assert used == {path for path in CONFIGS if "long_range" in path.parts} | trials


def head_of(path: Path) -> str:
    """A pattern of the command that the first line of a configuration names."""
    experiment, name = path.relative_to(EXPERIMENTS / "configs").with_suffix("").parts[:2]
    kinds = {"tasks": f" TASKS={path.stem}", "tenfold": rf" TASKS={path.stem} MODELS=[\w-]+-tenfold"}
    part = path.relative_to(EXPERIMENTS / "configs" / experiment).parts[1:2]
    folders = path.relative_to(EXPERIMENTS / "configs" / experiment).parent.parts[1:]
    of_model = next((folder for folder in folders if folder != "models"), "")
    model = f"{of_model}-{path.stem}" if of_model else path.stem
    what = "" if path.stem in ("common", name) else kinds.get(part[0], f" MODELS={model}")
    return rf"# make {experiment.replace('_', '-')} SUITE={name}{what}( DATA_DIR=\.\.\.)?"


def test_the_head_comment_is_the_command_that_runs_the_file() -> None:
    heads = {path: (path.read_text().split("\n")[0], head_of(path)) for path in CONFIGS}
    assert len(heads) > 80
    assert [path for path, (head, pattern) in heads.items() if not re.fullmatch(pattern, head)] == []


@pytest.mark.parametrize("name", SUITES)
def test_the_head_comment_of_a_suite_is_the_command_that_runs_it(name: str) -> None:
    text = (EXPERIMENTS / "suites" / f"{name}.yaml").read_text()
    known = [f"# make {experiment} SUITE={name}" for experiment in read_suite(name)]
    assert text.startswith((f"# make {name}", *known))


@pytest.mark.parametrize(
    ("mistake", "key"),
    [
        ({"trainer": {"max_stepz": 3}}, "max_stepz"),
        ({"trainer": {"max_steps": "many"}}, "trainer.max_steps"),
        ({"run": {"beem": 5}}, "beem"),
        ({"trainers": {"max_steps": 3}}, "trainers"),
        ({"data": {"init_args": {"corpus": {"limits": 3}}}}, "limits"),
        ({"model": {"class_path": "models.GPTSeq2Seq"}}, "GPTSeq2Seq"),
    ],
)
def test_a_mistake_in_a_file_names_its_key(mistake: dict[str, Any], key: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(mistake))
    assert key in refusal(main, [*planned("smoke", "lstm").arguments, "-c", str(wrong)])


def test_the_readmes_suite_reads_an_own_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader would write, with two aligned files for training and tab-separated ones for the rest."""
    for path, text in files_to_write().items():
        if "mine" in path:
            file = tmp_path / Path(path).relative_to("experiments")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    folder = tmp_path / "configs" / "bleu" / "mine"
    for model in ("lstm", "bahdanau", "transformer"):
        (folder / f"{model}.yaml").write_text((EXPERIMENTS / f"configs/bleu/full/{model}.yaml").read_text())
    monkeypatch.setattr(plan, "EXPERIMENTS", tmp_path)
    monkeypatch.chdir(tmp_path)
    pairs = embedded.embedded_corpus("train", size=60)
    Path("corpus").mkdir()
    Path("corpus/train.fr").write_text("".join(f"{p.german}\n" for p in pairs))
    Path("corpus/train.en").write_text("".join(f"{p.english}\n" for p in pairs))
    for name in ("val", "test"):
        Path(f"corpus/{name}.tsv").write_text("".join(f"{p.german}\t{p.english}\n" for p in pairs[:9]))
    runs = list(plan_bleu("mine", [], [], "", "runs", ["--data.init_args.tokenizer.vocab_size=200"]))
    assert [run.key.model for run in runs] == ["lstm", "bahdanau", "transformer"]
    assert {run.key.task for run in runs} == {"mine-fr-en"}
    parser = build_parser()
    for run in runs:
        data = parser.instantiate(parser.parse_args(run.arguments)).data
        assert data.test_sets == ["test"]
        assert data.text("val").source[0] == pairs[0].german
        assert len(next(iter(data.loader("train"))).source)
