"""What may be compared: models that learned a task, parts that were tuned as well, position encodings by name."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from analysis.claims.verdict import NotRun, Undecided
from analysis.long_range.axes import EXPERIMENT, Axis, Control, axes, controls, main_axis, systems_of, with_tenfold
from analysis.page.labels import decimal, label, listing, slug
from analysis.store import Store, System
from experiments.record.metrics import MASTERED

RELATIVE, ABSOLUTE = ("rotary", "alibi"), ("sinusoidal", "learned")
POSITIONS = (*RELATIVE, *ABSOLUTE)  # encodings, and the variants that have them


class Evidence:
    """What the finished runs measured, as the rules of the claims ask for it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.axes = cache(lambda task, metric: axes(store, task, metric))
        self.controls = cache(lambda task: controls(store, task))

    def axis(self, task: str, vary: str = "", metric: str = "token_accuracy") -> Axis:
        """The axis of a task that varies `vary`; without such a name, or where none has it, its main one."""
        found: Sequence[Axis] = self.axes(task, metric)
        if not found:
            raise NotRun(f"no {metric.replace('_', ' ')} on {task}")
        return main_axis(found, vary)

    def figure(self, task: str, vary: str, metric: str, group: str, model: str = "transformer") -> str:
        """The name of the figure that shows an axis, of a model's variants of a `group` if given; or empty."""
        found: Sequence[Axis] = self.axes(task, metric)
        variants = (model, group) if group else ()
        return slug(metric, task, main_axis(found, vary).name, *variants) if found else ""

    def met_in_training(self, task: str, axis: Axis) -> set[float]:
        """The values of an axis that training had; all up to the largest where its grids were not recorded."""
        runs = self.store.finished(EXPERIMENT, task)
        grids = next((run.record["held_equal"].get("trained on") for run in runs), None)
        if not grids:
            return {point.x for point in axis.points if point.trained}
        parts = [part.split() for part in re.split("[;,] ", grids)]  # length 4 8, gap 0; length 16, gap 2
        return {float(x) for name, *values in parts if name == axis.vary for x in values}

    def require_mastered(self, task: str, *systems: System) -> None:
        """A model below 0.99 on its control must have failed it with ten times the budget to be judged."""
        known: Mapping[System, Control] = self.controls(task)
        without = [label(system) for system in systems if system not in known]
        if without:
            raise Undecided(f"no control recorded for {listing(without)} on {task}", "Runs that record a control.")
        weak = {label(s): min(known[s].seeds.values()) for s in systems if known[s].under_trained}
        if weak:
            each = [f"{name} (control {decimal(lowest, 3)})" for name, lowest in weak.items()]
            names = listing(list(weak))
            raise Undecided(
                f"under-trained on {task}: {listing(each)}, below {MASTERED} on the control",
                f"Training until every seed of {names} reaches {MASTERED} on the control, or a run of ten "
                "times the budget that fails there as well.",
            )

    def require_own_trials(self, task: str, base: System, variant: System) -> None:
        """A variant that did not learn must have been tuned as its base was: as many trials, and its own."""
        if self.mastered(task, variant):
            return
        own, others = (self.trials(task, system) for system in (variant, base))
        if not own or own == others or len(own) != len(others):
            reason = f"{label(variant)} failed on {task} with values that were not chosen for it"
            raise Undecided(reason, f"As many trials of {label(variant)} as of {label(base)}, then its runs.")

    def trials(self, task: str, system: System) -> list[Any]:
        """The trials that the values of a system were chosen from, empty if it was not tuned."""
        runs = self.store.finished(EXPERIMENT, task, system)
        record = self.store.trials(runs[0]) if runs else None
        return record["trials"] if record else []

    def mastered(self, task: str, system: System) -> bool:
        known: Mapping[System, Control] = self.controls(task)
        return system in known and known[system].mastered

    def judged(self, task: str, system: System) -> bool:
        """Whether its failures mean something."""
        return self.mastered(task, system) or self.unable(task, system)

    def unable(self, task: str, system: System) -> bool:
        known: Mapping[System, Control] = self.controls(task)
        return system in known and known[system].unable

    def trained_enough(self, task: str, *systems: System) -> tuple[System, ...]:
        """The systems; where one of them fails its control, those with ten times the budget if all can be judged."""
        longer = tuple(map(with_tenfold, systems))
        enough = all(self.mastered(task, system) for system in systems)
        return longer if not enough and all(self.judged(task, system) for system in longer) else systems

    def encoding(self, task: str, system: System) -> str:
        """The position encoding of a Transformer, from its variant or its settings; empty for what has none."""
        if system.model != "transformer" or system.variant in POSITIONS:
            return system.variant if system.model == "transformer" else ""
        runs = self.store.finished(EXPERIMENT, task, system)
        settings = runs[0].record.get("model_settings", {}) if runs else {}
        return str(settings.get("init_args", {}).get("network", {}).get("positions", ""))

    def by_encoding(self, task: str) -> dict[str, System]:
        """The Transformers of a task that differ by their position encoding alone, the base first."""
        systems = [s for s in systems_of(self.store, task) if s.model == "transformer"]
        found: dict[str, System] = {}
        for system in systems:
            if system.variant in ("base", *POSITIONS):
                found.setdefault(self.encoding(task, system), system)
        return found

    def encoding_pairs(self, task: str) -> list[tuple[System, System]]:
        """Each Transformer with relative positions, and one with absolute ones."""
        found = self.by_encoding(task)
        absolute = [found[name] for name in ABSOLUTE if name in found][:1]
        return [(found[name], against) for name in RELATIVE if name in found for against in absolute]

    def beyond(self, task: str) -> Axis | None:
        """The main axis of accuracy that reaches beyond training, of the systems that were measured there."""
        found: Sequence[Axis] = self.axes(task, "token_accuracy")
        reaching = [axis.only(partial(goes_beyond, axis)) for axis in found]
        reaching = [axis for axis in reaching if axis.curves]
        return main_axis(reaching) if reaching else None

    def named(self, task: str, system: System) -> str:
        """A system by its name, a Transformer with its position encoding."""
        encoding = self.encoding(task, system)
        return f"{label(system)} ({encoding} positions)" if encoding and encoding != system.variant else label(system)


def goes_beyond(axis: Axis, system: System) -> bool:
    points = axis.curves[system]
    return any(point.trained for point in points) and points[-1].trained is False
