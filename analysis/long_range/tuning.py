"""How learning rate and initialisation scale were chosen: every trial of every model, and unequal treatment."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.long_range.evidence import EXPERIMENT, systems_of, tasks_of
from analysis.long_range.networks import CHOSEN, part, shown
from analysis.long_range.wording import title
from analysis.page.blocks import Block, Heading, Listing, Notice, Paragraph, Section, Table
from analysis.page.labels import NAMES, NONE, label, listing, together
from analysis.store import Run, Store

Record = dict[str, Any]
OUTCOMES = ("finished", "pruned", "diverged", "failed")
HEADER = ["model", "trials", "learning rate", "initialisation scale", "validation loss", "steps (share of a run)"]
HEADER += ["every trial: learning rate × scale: loss (outcome)"]


@dataclass(frozen=True)
class Tuned:
    """A model on a task: its finished runs, variants among them, and the trials its base runs hold, each kind once."""

    model: str
    runs: Sequence[Run]
    records: Sequence[Record]
    by_hand: bool

    @property
    def chosen(self) -> Record:
        """The trial whose values were taken."""
        record = self.records[0]
        found: Record = next(trial for trial in record["trials"] if trial["number"] == record["chosen"])
        return found


def build(store: Store) -> list[Section]:
    """One section, or none where nothing was trained for a long-range task."""
    tasks = [task for task in tasks_of(store) if not task.startswith("contrastive-")]
    found = {task: models for task in tasks if (models := tuned(store, task))}
    if not found:
        return []
    section = Section("tuning", "Tuning")
    if all(model.by_hand for models in found.values() for model in models):
        section.blocks.append(Notice("Not tuned: learning rates and initialisation scales set by hand."))
        return [section]
    section.blocks += how([(task, model) for task, models in found.items() for model in models if model.records])
    untuned = [task for task, models in found.items() if all(model.by_hand for model in models)]
    if untuned:
        names = "; ".join(title(task) for task in untuned)
        section.blocks.append(Notice(f"Values set by hand, not tuned, for every model on these tasks: {names}."))
    for task in [task for task in found if task not in untuned]:
        section.blocks += [Heading(title(task)), *map(Notice, warnings(found[task])), table(task, found[task])]
    return [section]


def tuned(store: Store, task: str) -> list[Tuned]:
    """Every model with a finished base run on a task."""
    models = []
    for system in systems_of(store, task):
        if system.variant == "base":
            runs = [r for r in store.finished(EXPERIMENT) if (r.task, r.model) == (task, system.model)]
            bases = [run for run in runs if run.variant == "base"]
            records = [record for record in map(store.trials, bases) if record]
            once = {json.dumps(record, sort_keys=True): record for record in records}
            by_hand = not any((run.folder / "trials.json").exists() for run in bases)
            models.append(Tuned(system.model, runs, list(once.values()), by_hand))
    return models


def warnings(models: Sequence[Tuned]) -> list[str]:
    """Unequal treatment of the models, one sentence each."""
    numbers = {name(model.model): len(model.records[0]["trials"]) for model in models if model.records}
    unequal = [f"{model} {number}" for model, number in numbers.items()] if len(set(numbers.values())) > 1 else []
    by_hand = [name(model.model) for model in models if model.by_hand]
    several = [name(model.model) for model in models if len(model.records) > 1]
    others = [text for model in models if model.records for text in not_as_chosen(model)]
    found = {
        "The models had unequal numbers of trials": unequal,
        "Values set by hand, not tuned": by_hand,
        "The seeds have different trials; the table shows the first": several,
        "Not trained with the values that were chosen": ["; ".join(others)] if others else [],
    }
    return [f"{text}: {listing(each)}." for text, each in found.items() if each]


def not_as_chosen(model: Tuned) -> list[str]:
    texts = []
    for run in model.runs:
        optimisation = part(run, "optimisation")
        for key in CHOSEN:
            if key in optimisation and optimisation[key] != model.chosen["values"][key]:
                instead = f"instead of {shown(model.chosen['values'][key])}"
                what = f"{key.replace('_', ' ')} {shown(optimisation[key])} {instead}"
                texts.append(f"{label(run.system)} ({what})")
    return list(dict.fromkeys(texts))


def name(model: str) -> str:
    return NAMES.get(model, model)


def table(task: str, models: Sequence[Tuned]) -> Table:
    rows = [row(model) for model in models]
    caption = f"Trials of each model on {title(task)}. The loss of a pruned trial is from the step at which it ended."
    flagged = frozenset(i for i, model in enumerate(models) if model.by_hand)
    return Table(caption, HEADER, rows, left=len(HEADER), flagged=flagged)


def row(model: Tuned) -> list[str]:
    if not model.records:
        bases = [run for run in model.runs if run.variant == "base"]
        used = [
            " or ".join(dict.fromkeys(shown(part(run, "optimisation").get(key)) for run in bases)) for key in CHOSEN
        ]
        return [name(model.model), "none, set by hand" if model.by_hand else "cannot be read", *used, NONE, NONE, NONE]
    record, chosen = model.records[0], model.chosen
    counts = Counter(str(trial["outcome"]) for trial in record["trials"])
    order = [*OUTCOMES, *sorted(set(counts) - set(OUTCOMES))]
    each = ", ".join(f"{counts[outcome]} {outcome}" for outcome in order if counts[outcome])
    return [
        name(model.model),
        f"{len(record['trials'])} ({each})",
        *(shown(chosen["values"][key]) for key in CHOSEN),
        f"{chosen['validation_loss']:.4g}",
        together(f"{record['steps']} ({100 * record['share_of_steps']:.0f} %)"),
        "; ".join(trial_in_words(trial, chosen) for trial in record["trials"]),
    ]


def trial_in_words(trial: Record, chosen: Record) -> str:
    """Without line breaks: they belong between trials."""
    loss = "no loss" if trial["validation_loss"] is None else f"{trial['validation_loss']:.4g}"
    outcome = trial["outcome"] if trial["outcome"] == "finished" else f"{trial['outcome']} at step {trial['steps']}"
    mark = ", chosen" if trial is chosen else ""
    values = " × ".join(map(shown, trial["values"].values()))
    return together(f"{values}: {loss} ({outcome}{mark})")


def how(models: Sequence[tuple[str, Tuned]]) -> list[Block]:
    """How values were chosen, in one paragraph; by model where they were chosen in different ways."""
    ways: dict[str, list[str]] = {}
    for task, model in models:
        for record in model.records:
            ways.setdefault(way(record), []).append(f"{name(model.model)} on {task}")
    if not ways:
        return []
    text = (
        "Learning rate and initialisation scale of each model on each task were chosen by short runs, the trials, on "
        "validation data alone: no trial saw test data. Variants of a model take the values of their model."
    )
    if len(ways) == 1:
        return [Paragraph(f"{text} {next(iter(ways))}")]
    parts = [f"{', '.join(dict.fromkeys(whose))}: {found}" for found, whose in ways.items()]
    return [Paragraph(f"{text} Not all were tuned in the same way."), Listing(parts)]


def way(record: Record) -> str:
    spaces = [
        f"{key.replace('_', ' ')} {shown(values['low'])} to {shown(values['high'])} ({values['distribution']})"
        for key, values in record["space"].items()
    ]
    return (
        f"Space: {listing(spaces)}. Sampler: {record['sampler']}. Pruner: {record['pruner']}. Seed of the trials: "
        f"{record['seed']}. Chosen: {record['chosen_by']}."
    )
