"""Curves as text: braille characters, each two dots wide and four high."""

import math
from collections.abc import Sequence
from itertools import pairwise

BLANK = 0x2800
DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))  # of the left and the right column, from the bottom
LARGEST = 1e30  # what is larger, infinite or not a number has no place in a curve


def curve(points: Sequence[tuple[float, float]], columns: int, rows: int) -> list[str]:
    """A line through points (x, y) in `rows` strings of `columns` characters, the first on top; [] without points.

    Points that share a column are drawn at their mean; between distant points the line is straight.
    """
    known = [(x, y) for x, y in points if abs(y) < LARGEST]
    if not known:
        return []
    levels = leveled(spread(known, 2 * columns), 4 * rows)
    cells = [[BLANK] * columns for _ in range(rows)]
    before = levels[0]
    for place, level in enumerate(levels):
        for height in range(min(level, before), max(level, before) + 1):
            if height != before or before == level:  # the dot of the column before stands there already
                cells[rows - 1 - height // 4][place // 2] |= DOTS[place % 2][height % 4]
        before = level
    return ["".join(map(chr, row)) for row in cells]


def spread(points: Sequence[tuple[float, float]], columns: int) -> list[float]:
    """One y a column: the mean of the points that fall into it, or the value on the line between its neighbours."""
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    scale = (columns - 1) / (last - first) if last > first else 0.0
    sums, counts = [0.0] * columns, [0] * columns
    for x, y in points:
        place = round((x - first) * scale)
        sums[place] += y
        counts[place] += 1
    known = [(place, sums[place] / counts[place]) for place in range(columns) if counts[place]]
    values = [known[0][1]]
    for (start, low), (end, high) in pairwise(known):
        values += [low + (high - low) * step / (end - start) for step in range(1, end - start + 1)]
    return values


def leveled(values: Sequence[float], levels: int) -> list[int]:
    """Each value as a height from 0, the least, to levels - 1, the largest."""
    low, high = min(values), max(values)
    if math.isclose(low, high):
        return [0] * len(values)
    return [round((value - low) / (high - low) * (levels - 1)) for value in values]
