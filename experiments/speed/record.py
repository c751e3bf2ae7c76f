"""Speed measurements before they are written: rows and raw blocks of each system, and the task they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.launch.provenance import machine, provenance, versions
from experiments.record.keys import BLOCKS, Measurement, RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import write_result, write_rows
from experiments.speed.systems import System
from experiments.speed.timing import spread

MODELS = Path(__file__).parents[2] / "models"


def log(text: str) -> None:
    """A line of progress below the name of the task."""
    print(f"      {text}", flush=True)


@dataclass
class Rows:
    """Everything measured of one system in one task."""

    measurements: list[Measurement] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    kernels: dict[str, str] = field(default_factory=dict)

    def add(self, metric: str, value: float, unit: str, x_name: str = "", x: Any = None, n: int = 1) -> None:
        self.measurements.append(Measurement(metric, value, unit, n, x_name, x))

    def add_spread(self, metric: str, values: Sequence[float], unit: str, x_name: str = "", x: Any = None) -> None:
        """Median and quartiles over rounds, and every round."""
        found = spread(values)
        for name, value in (("", found.median), ("_q25", found.q25), ("_q75", found.q75)):
            self.add(f"{metric}{name}", value, unit, x_name, x, found.rounds)
        for number, value in enumerate(values):
            self.blocks.append({"metric": metric, "x_name": x_name, "x": x, "round": number, "value": value})


@dataclass
class Task:
    """One speed task of a suite: names its records and decides whether they exist already.

    Args:
        suite, name: Of the task.
        root: Folder of the run store.
        settings: Of the measurement; with the machine, the versions and the networks' code they make the fingerprint
            of the records, because each of these can change a speed.
        systems: What is timed.
        process: The number of the process that measures, the seed of its records.
        command: What a user types to measure it; by default that of the suite's own tasks.
        configs: By the system's name what makes the fingerprint of its record, where that is something else.
    """

    suite: str
    name: str
    root: str
    settings: Mapping[str, Any]
    systems: Sequence[System]
    process: int = 0
    command: str = ""
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def key(self, system: System) -> RunKey:
        command = self.command or f"make speed SUITE={self.suite} TASKS={self.name}"
        return RunKey(self.suite, "speed", self.name, system.model, system.variant, self.process, self.root, command)

    def config(self, system: System) -> Mapping[str, Any]:
        if system.name in self.configs:
            return self.configs[system.name]
        code = {
            str(path.relative_to(MODELS)): path.read_text(encoding="utf-8") for path in sorted(MODELS.rglob("*.py"))
        }
        where = {"machine": machine(), "versions": versions(), "networks": config_hash(code)}
        return {"task": self.name, "settings": dict(self.settings), **where}

    def finished(self) -> bool:
        return all(is_finished(self.key(each).folder, config_hash(self.config(each))) for each in self.systems)

    def write(self, found: Mapping[str, Rows], held_equal: Mapping[str, Any]) -> None:
        """Write each system's record; `found` is by the system's name."""
        facts = provenance(self.started)
        for system in self.systems:
            rows, key = found[system.name], self.key(system)
            write_rows(key.folder / BLOCKS, rows.blocks)
            write_result(key, self.config(system), rows.measurements, held_equal, rows.kernels, facts)
