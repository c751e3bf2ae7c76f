"""Settings of each network as a table and in one sentence, named as in its configuration."""

from collections.abc import Sequence
from typing import Any

from analysis.long_range.axes import EXPERIMENT
from analysis.page.blocks import Table
from analysis.page.labels import NONE, label
from analysis.store import Run, Store, System

Settings = dict[str, Any]
ORDINARY = {
    "dropout": 0.0,
    "residual": True,
    "scale_scores": True,
    "tied": True,
    "feed_context": False,
    "reversed_source": False,
}
OWN_COLUMN = ("bidirectional", "positions", "max_length", "forget_bias", "chrono_length")
CHOSEN = ("learning_rate", "initialisation_scale")


def part(run: Run, name: str) -> Settings:
    """The settings of `network` or of `optimisation`; empty where a run did not record them."""
    found: Settings = run.record.get("model_settings", {}).get("init_args", {}).get(name, {})
    return found


def described(network: Settings) -> str:
    """Sizes and unusual settings: "cell lstm, hidden 104, layers 1, embedding 64"."""
    if "bidirectional" in network:
        network = {"cell": "lstm", **network}  # the one with attention has no other
    return ", ".join(
        f"{key.replace('_', ' ')} {shown(value)}"
        for key, value in network.items()
        if key not in OWN_COLUMN and value is not None and ORDINARY.get(key) != value
    )


def direction(network: Settings) -> str:
    """A Transformer's encoder is not masked, so it reads both sides of a token."""
    if "bidirectional" in network:
        return "both directions" if network["bidirectional"] else "one direction"
    return "both directions" if "encoder_layers" in network else NONE


def positions(network: Settings) -> str:
    kind = str(network.get("positions", NONE))
    return f"learned, up to {shown(network.get('max_length'))}" if kind == "learned" else kind


def forget_bias(network: Settings) -> str:
    """Only an LSTM has this bias; chrono initialisation sets it, and the update gate of a GRU, from a length."""
    cell = network.get("cell", "lstm")
    if network.get("chrono_length") is not None and cell in ("lstm", "gru"):
        return f"chrono, up to {shown(network['chrono_length'])}"
    return shown(network.get("forget_bias")) if cell == "lstm" else NONE


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return NONE if value is None else str(value)


def table(store: Store, task: str, systems: Sequence[System]) -> Table | None:
    """The settings of each system of a task, or None if no run recorded them."""
    runs = {system: store.finished(EXPERIMENT, task, system) for system in systems}
    runs = {system: [run for run in seeds if part(run, "network")] for system, seeds in runs.items()}
    recorded = [run for seeds in runs.values() for run in seeds]
    if not recorded:
        return None
    further = unequal(recorded)
    header = ["model", "network", "encoder reads", "position encoding", "forget-gate bias", "initialisation scale"]
    header += ["learning rate", *(key.replace("_", " ") for key in further)]
    rows = []
    for system, seeds in runs.items():
        each = [cells(run, further) for run in seeds]
        rows.append([label(system), *(" or ".join(dict.fromkeys(column)) for column in zip(*each, strict=True))])
        rows[-1] += [NONE] * (len(header) - len(rows[-1]))
    caption = (
        "Settings of each model. All other settings of the optimisation are the same"
        f"{', except for the last columns' if further else ''}. A dash: the network has no such setting."
    )
    return Table(caption, header, rows, left=5)


def cells(run: Run, further: Sequence[str]) -> list[str]:
    network, optimisation = part(run, "network"), part(run, "optimisation")
    found = [described(network), direction(network), positions(network), forget_bias(network)]
    return [*found, *(shown(optimisation.get(key)) for key in ("initialisation_scale", "learning_rate", *further))]


def unequal(runs: Sequence[Run]) -> list[str]:
    """Settings of the optimisation that differ between runs, except those that trials choose."""
    keys = dict.fromkeys(key for run in runs for key in part(run, "optimisation") if key not in CHOSEN)
    return [key for key in keys if len({shown(part(run, "optimisation").get(key)) for run in runs}) > 1]
