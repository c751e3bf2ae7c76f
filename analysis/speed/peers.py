"""Our models compared with other toolkits."""

import math

from analysis.page.blocks import Block, Table
from analysis.page.labels import NONE, decimal, label, whole
from analysis.speed.runs import Speed, round_ratios
from analysis.speed.units import RATE, percent, text_title, with_quartiles
from analysis.store import System

TRANSLATED = "sentences_per_second"
PEERS = {
    "fp32": "ours, 32-bit",
    "bf16": "ours, bf16",
    "joeynmt": "JoeyNMT, 32-bit",
    "torch": "torch.nn.Transformer in a textbook loop",
    "gpt2": "GPT-2 of transformers in a plain loop",
    "plain": "nn.LSTM in a plain loop",
    "textbook": "textbook code",
}
AGAINST = {"joeynmt": "JoeyNMT", "gpt2": "GPT-2", "textbook": "textbook code"}  # the first that was measured


def blocks(speed: Speed, task: str) -> list[Block]:
    """For each model a table of training, and one of translating where that was timed."""
    found: list[Block] = []
    for model in dict.fromkeys(system.model for system in speed.systems(task)):
        systems = sorted((s for s in speed.systems(task) if s.model == model), key=place_of_peer)
        name = label(System(model, "base"))
        caption = (
            f"Training the {name} on {text_title(task)}, equal files, sizes, tokens per batch and threads; medians "
            "[quartiles]. Ratios of medians, in brackets the lowest and highest of the rounds that timed both."
        )
        to = f"to {AGAINST[peer_of(speed, task, model)]}"
        header = ["system", "target tokens/s", to, "padding", "parameters"]
        found.append(Table(caption, header, [training_row(speed, task, system) for system in systems]))
        timed = [s for s in systems if not math.isnan(speed.value(task, s, TRANSLATED))]
        if timed:
            caption = f"Translating the test set with the {name}, beam 5; ratios as above."
            header = ["system", "sentences/s", to, "tokens per hypothesis"]
            found.append(Table(caption, header, [translation_row(speed, task, system) for system in timed]))
    return found


def place_of_peer(system: System) -> tuple[bool, int, str]:
    kind = system.variant.split("-")[0]
    return "-" in system.variant, list(PEERS).index(kind) if kind in PEERS else len(PEERS), system.variant


def peer_name(variant: str) -> str:
    kind, _, rest = variant.partition("-")
    return f"{PEERS.get(kind, kind)}{f', {rest}' if rest else ''}".replace("dropout0", "no dropout").replace(
        "settings", "freed memory kept and products by oneDNN as in our runs"
    )


def peer_of(speed: Speed, task: str, model: str) -> str:
    return next((name for name in AGAINST if (task, System(model, name)) in speed.runs), "joeynmt")


def opposite(speed: Speed, task: str, system: System) -> System | None:
    """The peer's run with the same dropout, as its users start it."""
    rest, peer = system.variant.partition("-")[2].removeprefix("settings"), peer_of(speed, task, system.model)
    other = System(system.model, f"{peer}-{rest}" if rest else peer)
    return other if (task, other) in speed.runs and other != system else None


def training_row(speed: Speed, task: str, system: System) -> list[str]:
    padding, parameters = (speed.value(task, system, metric) for metric in ("padding_share", "parameters"))
    return [*rate_and_ratio(speed, task, system, RATE), percent(padding), whole(parameters)]


def translation_row(speed: Speed, task: str, system: System) -> list[str]:
    tokens = decimal(speed.value(task, system, "mean_hypothesis_tokens"))
    return [*rate_and_ratio(speed, task, system, TRANSLATED), tokens]


def rate_and_ratio(speed: Speed, task: str, system: System, metric: str) -> list[str]:
    cells = [peer_name(system.variant), with_quartiles(speed.median(task, system, metric)), NONE]
    other = opposite(speed, task, system)
    if other:
        value = speed.value(task, system, metric) / speed.value(task, other, metric)
        each = round_ratios(*(speed.series(task, s, metric) for s in (system, other))).values()
        spread = f" ({decimal(min(each), 2)} to {decimal(max(each), 2)})" if each else ""
        cells[-1] = NONE if math.isnan(value) else f"{decimal(value, 2)}{spread}"
    return cells
