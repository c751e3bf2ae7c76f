"""Settings of `make speed`, as read from experiments/configs/speed."""

from dataclasses import dataclass, field
from typing import Any, Literal

from jsonargparse.typing import PositiveFloat, PositiveInt

Precision = Literal["32-true", "bf16-mixed"]


@dataclass
class Clock:
    """How long to measure.

    Args:
        rounds: Blocks of each system, interleaved.
        seconds: Least length of a block.
    """

    rounds: PositiveInt = 5
    seconds: PositiveFloat = 0.1


@dataclass
class Sweep:
    """Steps at several lengths, widths or batch sizes.

    Args:
        systems: What is timed.
        values: Lengths in tokens of source and target, widths, or rows.
        tokens: Target tokens of a batch, so that a longer length has fewer rows.
        length: Of source and target, where it is not what varies.
        only: Values for some systems, where not all.
    """

    systems: list[str]
    values: list[int]
    tokens: int = 2048
    length: int = 32
    only: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class Loops:
    """Bare steps against the Trainer on real text, with the models of the translation experiment.

    Args:
        systems: What is timed; the models' files are those of the suite's translation runs.
        corpus, direction: The text.
        configs: Suite whose translation configurations are used.
        steps: Steps of a block.
        warm_up: First blocks of both loops that do not count: every length of sentence brings shapes that are new.
    """

    systems: list[str]
    corpus: str
    direction: str
    configs: str
    steps: int = 10
    warm_up: int = 1


@dataclass
class Decode:
    """Greedy and beam search that never ends early.

    Args:
        systems: What is timed.
        lengths: Source and target lengths, at `batch` sentences.
        batches: Sentences at once, at `length` tokens.
    """

    systems: list[str]
    lengths: list[int]
    batches: list[int]
    length: int = 32
    batch: int = 16


@dataclass
class Devices:
    """The same step in several processes.

    Args:
        systems: What is timed.
        processes: Numbers of processes, one a device; on a CPU they share the cores evenly, whatever their number.
        tokens: Target tokens of a batch on one device (weak), or on all together (strong).
        length: Of source and target.
    """

    systems: list[str]
    processes: list[int]
    tokens: int = 2048
    length: int = 32


@dataclass
class Settings:
    """Everything one suite measures; a task that is not named is not run.

    Args:
        models: Configuration of each network that a sweep names (class_path and init_args).
        width: The width that those configurations have, which a sweep of the width starts from.
        precision: Of the systems whose names have neither bf16 nor fp32 in them.
        vocabulary: Size of both vocabularies; small, so that the networks and not the projection are compared.
        clock: How long to measure.
        processes: Fresh processes that measure everything again, one after the other: between them figures differ by
            more than within one (10 to 30 % on two cores), and claims rest on that spread.
        length, width_sweep, batch: Sweeps.
        text: Bare steps against the Trainer.
        decoding: Greedy and beam search.
        devices: Several processes.
    """

    models: dict[str, dict[str, Any]]
    width: int = 256
    precision: Precision = "32-true"
    vocabulary: int = 1000
    clock: Clock = field(default_factory=Clock)
    processes: int = 1
    length: Sweep | None = None
    width_sweep: Sweep | None = None
    batch: Sweep | None = None
    text: Loops | None = None
    decoding: Decode | None = None
    devices: Devices | None = None

    def __post_init__(self) -> None:
        if self.length:
            check_fits(max(self.length.values), self.length.tokens)
        if self.width_sweep:
            check_fits(self.width_sweep.length, self.width_sweep.tokens)


def check_fits(length: int, tokens: int) -> None:
    """Refuse a length of which not even one row fits: its batch would be larger than all others."""
    if length > tokens:
        raise ValueError(f"length {length} exceeds tokens {tokens}, the target tokens of a batch: raise tokens.")


Axis = Literal["length", "width", "batch"]
