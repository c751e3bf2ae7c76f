"""Two results against each other: `python -m analysis.compare.__main__ --a results/full --b results/other`."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.compare.differences import Comparison, Difference, Seeds, compare, mean, source_of
from analysis.compare.page import build, summary
from analysis.compare.sides import Place, Side, read_pair
from analysis.page.blocks import Page
from analysis.page.prose import PROSE
from analysis.page.render import write, write_page
from experiments.record.system_errors import ending_in_a_sentence
from experiments.record.text import visible

TITLE = "Two results compared"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.compare.__main__",
        description="Compare two results: two machines, two commits, or a report and a paper's table. Writes "
        "compare.html, compare.md, compare.csv and figures/.",
        epilog=PROSE["what a side is"],
    )
    parser.add_argument("--a", required=True, help="the first side")
    parser.add_argument("--b", required=True, help="the second side; differences are B minus A, ratios B over A")
    parser.add_argument("--to", type=Path, default=Path("results/compare"), help="where to write (results/compare)")
    options = parser.parse_args(arguments)
    if not options.a or not options.b:
        sys.exit("Two results are needed, for example: make compare A=results/full B=runs/quick")
    try:
        a, b = read_pair(Path(options.a), Path(options.b))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(visible(str(error)))
    with ending_in_a_sentence():
        for path in write_comparison(a, b, options.to):
            print(path)


def write_comparison(a: Side, b: Side, folder: Path) -> list[Path]:
    """Write the comparison and return its files."""
    found = compare(a, b)
    rows = table(a, b, found).to_csv(index=False)
    suites = f"{a.suite} (A) and {b.suite} (B)"
    write_page(folder, "compare", Page(TITLE, suites, summary(a, b, found), build(a, b, found)))
    write(folder, {"compare.csv": rows})
    return [folder / name for name in ("compare.html", "compare.md", "compare.csv")]


def table(a: Side, b: Side, found: Comparison) -> pd.DataFrame:
    """One row per place of either side; nothing is left out."""
    rows = [row_of(d) for d in found.differences]
    rows += [one_sided(a, place, a.places[place], {}) for place in found.only_a]
    rows += [one_sided(b, place, {}, b.places[place]) for place in found.only_b]
    columns = [*Place._fields, "unit", "in", "a", "seeds_a", "b", "seeds_b", "difference", "low", "high", "ratio"]
    frame = pd.DataFrame(rows, columns=[*columns, "interval", "source"])
    return frame.astype({"seeds_a": "Int64", "seeds_b": "Int64"})


def row_of(found: Difference) -> list[Any]:
    sides = (mean(found.a), len(found.a), mean(found.b), len(found.b))
    return [
        *found.place,
        found.unit,
        "both",
        *sides,
        *found.change,
        found.ratio,
        found.how,
        source_of(found.a, found.b),
    ]


def one_sided(side: Side, place: Place, a: Seeds, b: Seeds) -> list[Any]:
    """`a` or `b` is empty."""
    sides = [cell for seeds in (a, b) for cell in ((mean(seeds), len(seeds)) if seeds else (None, None))]
    unit = next(iter({**a, **b}.values())).unit
    return [*place, unit, f"{side.name} alone", *sides, *[None] * 5, source_of(a, b)]


if __name__ == "__main__":
    main()
