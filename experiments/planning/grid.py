"""The runs of a suite: a grid of tasks, models and seeds, and the configuration files each run is made of."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from experiments.planning.yaml_files import one_sentence, read_yaml
from experiments.record.keys import RunKey, source_of
from experiments.record.text import visible

EXPERIMENTS = Path(__file__).parents[1]
TENFOLD = "-tenfold"  # ends the name of a variant that is trained for ten times as long
DOUBLED = "-doubled"  # and for twice as long, in translation


@dataclass(frozen=True)
class Planned:
    """One run of the grid: its name, the configuration files it is made of and what overrides them."""

    key: RunKey
    configs: tuple[Path, ...]
    overrides: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        named = {**self.key.identity, "root": self.key.root, "command": self.key.command}
        run = [f"--run.{name}={value}" for name, value in named.items()]
        return [*(word for path in self.configs for word in ("-c", str(path))), *self.overrides, *run]

    @property
    def source(self) -> RunKey | None:
        """The run whose weights it starts from, if its files name one."""
        naming = [path for path in self.configs if "starts_from:" in path.read_text(encoding="utf-8", errors="replace")]
        names = [name for path in naming if (name := read_yaml(path).get("starts_from"))]
        return source_of(self.key, names[-1]) if names else None

    @property
    def label(self) -> str:
        return f"{self.key.task} {self.key.model} {self.key.variant} seed {self.key.seed}"


@dataclass
class TranslationGrid:
    """Which models a suite translates with.

    Args:
        corpus, direction: What is translated.
        models, seeds: The grid.
        small: Runs take place at the same time, one a core.
        like: Another suite, whose configurations and tuned values these are; files of this suite say what is different.
    """

    corpus: str
    direction: str
    models: list[str]
    seeds: list[int]
    small: bool = False
    like: str = ""


@dataclass
class TaskGrid:
    """Which models a suite has on which tasks."""

    seeds: list[int]
    tasks: dict[str, list[str]]


GRIDS = {"bleu": TranslationGrid, "long-range": TaskGrid, "language": TaskGrid}


def read_suite(name: str) -> dict[str, Any]:
    """The grid of a suite, by experiment.

    Raises:
        ValueError: If there is no such suite, or its file is not plain YAML.
    """
    suites = EXPERIMENTS / "suites"
    path = suites / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in suites.glob("*.yaml")))
        raise ValueError(f"SUITE is {name!r}, but {path} does not exist; the suites are {known}.")
    return read_yaml(path)


def plan_bleu(
    suite: str, models: list[str], seeds: list[int], direction: str, root: str, settings: list[str]
) -> Iterator[Planned]:
    """The translation runs of a suite; empty lists and an empty direction take the suite's own.

    Raises:
        ValueError: If a model has no configuration in this suite, or the corpus is not of that direction.
    """
    row = row_of(suite, "bleu")
    folder, own = (configs_of("bleu", name) for name in (row["like"] or suite, suite))
    direction = direction or row["direction"]
    source, target = languages_of(folder / "common.yaml", direction, suite)
    languages = (
        f"--data.init_args.corpus.source_language={source}",
        f"--data.init_args.corpus.target_language={target}",
    )
    for seed in seeds or row["seeds"]:
        for name in models or row["models"]:
            model, _, variant = name.partition("-")
            differs = [model_file(own, each) for each in ("common", name)] if own != folder else []
            if differs and name.endswith(DOUBLED):
                raise ValueError(f"MODELS names {name!r}: SUITE={suite} has a budget of its own, which is not doubled.")
            like = model if differs and differs[-1].exists() else name
            configs = [folder / "common.yaml", *model_files(folder, like, suite)]
            command = f"make bleu SUITE={suite} MODELS={name} SEEDS={seed} DIRECTION={direction}"
            task = f"{row['corpus']}-{direction}"
            key = RunKey(suite, "bleu", task, model, variant or "base", int(seed), root, command)
            configs += [*tuned_files(folder / "tuned" / task, like), *filter(Path.exists, differs)]
            yield Planned(key, tuple(configs), (*languages, *settings))


def languages_of(config: Path, direction: str, suite: str) -> tuple[str, str]:
    """Source and target of a direction: a corpus of files names its own, the others are English and German.

    Raises:
        ValueError: If the corpus is not of that direction.
    """
    data = read_yaml(config).get("data") or {}
    corpus = (data.get("init_args") or {}).get("corpus") or {}
    if corpus.get("name") == "files":
        pairs = [(str(corpus.get("source_language") or ""), str(corpus.get("target_language") or ""))]
        if not all(pairs[0]):
            raise ValueError(f"{config} names files, but not their source_language and target_language: add both.")
    else:
        pairs = [("en", "de"), ("de", "en")]
    known = {"-".join(pair): pair for pair in pairs}
    if direction not in known:
        raise ValueError(
            f"DIRECTION, by default that of {EXPERIMENTS / 'suites' / f'{suite}.yaml'}, is {direction!r}, but the "
            f"corpus of {config} is {' or '.join(known)}."
        )
    return known[direction]


def plan_tasks(
    experiment: str, suite: str, tasks: list[str], models: list[str], seeds: list[int], root: str, settings: list[str]
) -> Iterator[Planned]:
    """The long-range or language runs of a suite, all of one seed before the next; empty lists take the suite's own.

    A run is made of the suite's common file, the task's, the model's, the variant's and, last, the values that tuning
    chose for this variant on the task, or on the one whose name the task's extends. A tenfold variant differs from what
    it is named after by its budget alone.

    Raises:
        ValueError: If a task or a model has no configuration in this suite.
    """
    row = row_of(suite, experiment)
    folder, known = configs_of(experiment, suite), tasks_in(experiment, suite)
    for task in tasks:
        if task not in known:
            other = "language" if experiment == "long-range" else "long-range"
            if task in tasks_in(other, suite):
                raise ValueError(f"TASKS names {task!r}, a task of {other}: make {other} SUITE={suite} TASKS={task}.")
            raise ValueError(f"TASKS names {task!r}, not in SUITE={suite}: choose from {', '.join(known)}.")
    usual: list[str] = next(iter(row["tasks"].values()), [])  # for a task of one's own, which the suite does not list
    for seed in seeds or row["seeds"]:
        for task in tasks or row["tasks"]:
            for name in models or row["tasks"].get(task, usual):
                model, _, variant = name.partition("-")
                configs = [folder / "common.yaml", folder / "tasks" / f"{task}.yaml"]
                if name.endswith(TENFOLD):
                    configs.append(tenfold_file(folder / "tenfold", task, name, suite))
                configs += model_files(folder / "models", tuned_name(name), suite)
                configs += tuned_files(folder / "tuned" / tuned_task(task, known), name)
                command = f"make {experiment} SUITE={suite} TASKS={task} MODELS={name} SEEDS={seed}"
                key = RunKey(suite, experiment, task, model, variant or "base", int(seed), root, command)
                yield Planned(key, tuple(configs), tuple(settings))


def configs_of(experiment: str, suite: str) -> Path:
    return EXPERIMENTS / "configs" / experiment.replace("-", "_") / suite


def tasks_in(experiment: str, suite: str) -> list[str]:
    """Tasks that have a configuration."""
    return sorted(path.stem for path in (configs_of(experiment, suite) / "tasks").glob("*.yaml"))


def tuned_task(task: str, known: Iterable[str]) -> str:
    """The task on which the values of this one are chosen: recall for recall, shakespeare for shakespeare-half."""
    return min((each for each in known if f"{task}-".startswith(f"{each}-")), key=len, default=task)


def tenfold_file(folder: Path, task: str, name: str, suite: str) -> Path:
    """The budget of a task's tenfold variants."""
    path = folder / f"{task}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ValueError(
            f"MODELS names {name!r}, but {task} has no budget of ten times; tasks of SUITE={suite} with one: {known}."
        )
    return path


def tuned_name(name: str) -> str:
    """The model or variant whose trials choose the values of this one."""
    return name.removesuffix(TENFOLD).removesuffix(DOUBLED)


def shares_values(name: str) -> bool:
    return tuned_name(name) != name


def tuned_files(folder: Path, name: str) -> list[Path]:
    """The trials that chose the values of a model or variant; of a variant without any those of what it varies."""
    candidates = [folder / f"{each}.json" for each in lineage(tuned_name(name))]
    return [path for path in candidates if path.exists()][-1:]


def lineage(name: str) -> list[str]:
    """A model, and the variants on the way to this one: lstm, lstm-decoder, lstm-decoder-only."""
    parts = name.split("-")
    return ["-".join(parts[:end]) for end in range(1, len(parts) + 1)]


def row_of(suite: str, experiment: str) -> dict[str, Any]:
    """What a suite says of an experiment.

    Raises:
        ValueError: If it says nothing of it, or something else than an experiment needs.
    """
    grid, where = read_suite(suite), EXPERIMENTS / "suites" / f"{suite}.yaml"
    if experiment not in grid:
        has = visible(", ".join(map(str, grid)))
        raise ValueError(f"SUITE={suite} has no experiment {experiment!r} in {where}; it has {has}.")
    parser, name = ArgumentParser(exit_on_error=False), experiment.replace("-", "_")
    parser.add_class_arguments(GRIDS[experiment], name)
    try:
        row: dict[str, Any] = parser.parse_object({name: grid[experiment]}).as_dict()[name]
    except ArgumentError as error:
        raise ValueError(f"{where}: {one_sentence(error)}") from error
    return row


def model_files(folder: Path, name: str, suite: str) -> list[Path]:
    """The configuration of a model, and those with what is different in its variant; nothing before another class."""
    first, *_ = names = lineage(name)
    for each in (first, name):
        if not model_file(folder, each).exists() or each == "common":
            known = ", ".join(models_in(folder))
            raise ValueError(f"MODELS names {each!r}, not in SUITE={suite}: choose from {known}.")
    files = [path for path in (model_file(folder, each) for each in names) if path.exists()]
    of_class = [re.search(r"^ +class_path:", path.read_text(encoding="utf-8"), re.MULTILINE) for path in files]
    return files[max(i for i, found in enumerate(of_class) if found or not i) :]


def model_file(folder: Path, name: str) -> Path:
    """Where the configuration of a model is, or that of a variant, in the model's folder or one of a kind in there."""
    model, _, variant = name.partition("-")
    if not variant:
        return folder / f"{model}.yaml"
    found = (path for path in sorted((folder / model).rglob("*.yaml")) if path.stem == variant)
    return next(found, folder / model / f"{variant}.yaml")


def models_in(folder: Path) -> list[str]:
    """Models and variants that have a configuration."""
    models = sorted({path.stem for path in folder.glob("*.yaml")} - {"common"})
    variants = [f"{model}-{path.stem}" for model in models for path in (folder / model).rglob("*.yaml")]
    return sorted([*models, *variants])
