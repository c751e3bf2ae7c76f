"""Bars of speed: the limit of a figure, what was measured, and a table of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.speed.timing import spread

Outcome = Literal["met", "MISSED", "for information", "not measured"]


@dataclass(frozen=True)
class Bar:
    """The limit of a ratio.

    Args:
        what: What is compared, the first over the second.
        kind: Whether the ratio must be at least or at most the limit.
        limit: The limit; none where the ratio is for information only.
        how: How it is measured.
    """

    what: str
    kind: Literal["≥", "≤"]
    limit: float | None
    how: str


@dataclass(frozen=True)
class Row:
    """A bar with its ratios, one a round; without ratios `reason` says why."""

    bar: Bar
    ratios: Sequence[float] = ()
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """By the median."""
        if not self.ratios:
            return "not measured"
        if self.bar.limit is None:
            return "for information"
        median = spread(self.ratios).median
        return "met" if (median >= self.bar.limit if self.bar.kind == "≥" else median <= self.bar.limit) else "MISSED"

    @property
    def measured(self) -> str:
        if not self.ratios:
            return self.reason
        found = spread(self.ratios)
        return f"{found.median:.2f} ({found.q25:.2f} to {found.q75:.2f})"


def printed(row: Row) -> Row:
    """The row, said as soon as it is measured."""
    print(f"  {row.bar.what}: {row.measured} {row.outcome}", flush=True)
    return row


def table(rows: Sequence[Row]) -> str:
    """Bars in lines: bar, measured, outcome, how."""
    lines = [("bar", "measured (quartiles)", "", "how")]
    for row in rows:
        limit = "" if row.bar.limit is None else f" {row.bar.kind} {row.bar.limit:g}"
        lines.append((f"{row.bar.what}{limit}", row.measured, row.outcome if row.ratios else "", row.bar.how))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def conclude(rows: Sequence[Row]) -> None:
    """Print the bars; the program ends with an error where one is missed."""
    print("\n" + table(rows))
    missed = [row for row in rows if row.outcome == "MISSED"]
    if missed:
        raise SystemExit(f"{len(missed)} of {len(rows)} bars missed")
