"""How learning rate, initialisation scale and dropout were chosen: every trial, and unequal treatment."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.page.blocks import Block, Listing, Notice, Paragraph, Section, Table
from analysis.page.labels import NONE, label, listing, ordered, together
from analysis.store import Run, Store, System, number

Record = dict[str, Any]
EXPERIMENTS = ("bleu", "long-range", "language")  # that are tuned
HEADER = ["task", "model", "trials", "chosen", "validation", "steps (share of a run)", "every trial"]


@dataclass(frozen=True)
class Tuned:
    """A system on a task: its finished runs, and the trials they hold, each kind once; none if set by hand."""

    task: str
    system: System
    runs: Sequence[Run]
    records: Sequence[Record]
    by_hand: bool

    @property
    def name(self) -> str:
        return f"{label(self.system)} on {self.task}"

    @property
    def chosen(self) -> Record:
        """The trial whose values were taken."""
        record = self.records[0]
        found: Record = next(trial for trial in record["trials"] if trial["number"] == record["chosen"])
        return found


def build(store: Store) -> list[Section]:
    """One section, or none where nothing was trained."""
    found = tuned(store)
    if not found:
        return []
    if all(one.by_hand for one in found):
        return [Section("tuning", "Tuning", [Notice("Not tuned: learning rates and the like were set by hand.")])]
    blocks = [*how(found), *map(Notice, warnings(found)), table([one for one in found if not one.by_hand])]
    return [Section("tuning", "Tuning", blocks)]


def tuned(store: Store) -> list[Tuned]:
    """Every system with a finished run on a task that it was trained for."""
    runs = [run for name in EXPERIMENTS for run in store.finished(name) if not run.task.startswith("contrastive-")]
    systems = []
    for task in dict.fromkeys(run.task for run in runs):
        for system in ordered(run.system for run in runs if run.task == task):
            mine = [run for run in runs if (run.task, run.system) == (task, system)]
            records = [record for record in map(store.trials, mine) if record]
            once = {json.dumps(record, sort_keys=True): record for record in records}
            by_hand = not any((run.folder / "trials.json").exists() for run in mine)
            systems.append(Tuned(task, system, mine, list(once.values()), by_hand))
    return systems


def warnings(found: Sequence[Tuned]) -> list[str]:
    """Unequal treatment, one sentence each."""
    unequal = []
    for task in dict.fromkeys(one.task for one in found):
        here = {label(o.system): len(o.records[0]["trials"]) for o in found if o.task == task and o.records}
        if len(set(here.values())) > 1:
            unequal.append(f"{task} ({', '.join(f'{name} {number}' for name, number in here.items())})")
    sentences = {
        "Unequal numbers of trials": unequal,
        "Values set by hand, not tuned": [one.name for one in found if one.by_hand],
        "The seeds have different trials; the table shows the first": [o.name for o in found if len(o.records) > 1],
        "Not trained with the values that were chosen": [t for one in found if one.records for t in not_as_chosen(one)],
    }
    return [f"{text}: {listing(each)}." for text, each in sentences.items() if each]


def not_as_chosen(one: Tuned) -> list[str]:
    texts = []
    for run in one.runs:
        for name, values in one.records[0]["space"].items():
            used = setting(run, values["key"])
            if used is not None and used != one.chosen["values"][name]:
                what = f"{name.replace('_', ' ')} {used:g} instead of {one.chosen['values'][name]:g}"
                texts.append(f"{one.name} ({what})")
    return list(dict.fromkeys(texts))


def setting(run: Run, key: str) -> float | None:
    """What a run recorded for a configuration key of its model."""
    found: Any = {"model": run.record.get("model_settings", {})}
    for part in key.split("."):
        found = found.get(part, {})
    return None if found == {} else float(found)


def table(found: Sequence[Tuned]) -> Table:
    caption = "Trials of each model and variant; a variant without trials of its own has those of its model."
    return Table(caption, HEADER, [row(one) for one in found], left=len(HEADER))


def row(one: Tuned) -> list[str]:
    if not one.records:
        return [one.task, label(one.system), "cannot be read", NONE, NONE, NONE, NONE]
    record, chosen = one.records[0], one.chosen
    counts = Counter(str(trial["outcome"]) for trial in record["trials"])
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())
    return [
        one.task,
        label(one.system),
        f"{len(record['trials'])} ({outcomes})",
        ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in chosen["values"].items()),
        score(chosen),
        together(f"{record['steps']} ({100 * record['steps'] / number(one.runs[0], 'steps'):.0f} %)"),
        "; ".join(in_words(trial, chosen) for trial in record["trials"]),
    ]


def score(trial: Record) -> str:
    """What the trial was judged by: the last value that it reported."""
    value = trial["reports"][-1][1] if trial["reports"] else None
    return NONE if value is None or trial["outcome"] != "finished" else f"{value:.4g}"


def in_words(trial: Record, chosen: Record) -> str:
    """Without line breaks: they belong between trials."""
    outcome = score(trial) if trial["outcome"] == "finished" else f"{trial['outcome']} at step {trial['steps']}"
    values = " × ".join(f"{value:g}" for value in trial["values"].values())
    return together(f"{values}: {outcome}{' (chosen)' if trial is chosen else ''}")


def how(found: Sequence[Tuned]) -> list[Block]:
    """How values were chosen; by system where they were chosen in different ways."""
    ways: dict[str, list[str]] = {}
    for one in found:
        for record in one.records:
            ways.setdefault(way(record), []).append(one.name)
    text = "Values were chosen by short runs, the trials, on validation data alone: no trial saw test data."
    if len(ways) <= 1:
        return [Paragraph(" ".join([text, *ways]))]
    parts = [f"{', '.join(dict.fromkeys(whose))}: {each}" for each, whose in ways.items()]
    return [Paragraph(f"{text} Not all were tuned in the same way."), Listing(parts)]


def way(record: Record) -> str:
    spaces = [
        f"{key.replace('_', ' ')} {values['low']:g} to {values['high']:g} ({values['distribution']})"
        for key, values in record["space"].items()
    ]
    return (
        f"Space: {listing(spaces)}. Sampler: {record['sampler']}. Pruner: {record['pruner']}. Seed of the trials: "
        f"{record['seed']}. Chosen: {record['chosen_by']}."
    )
