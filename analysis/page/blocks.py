"""What a report is made of; the two templates know how each block looks in HTML and in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.page.canvas import Figure


class Code(str):
    """A piece of text to be shown as typed: a command, a hash, a signature."""


class FigureLink(str):
    """The file name of a figure of the report, shown as a link to it."""


class SectionLink(str):
    """The identifier of a section, shown as a link to it."""


class Best(str):
    """A value marked as the best of its row."""


class Anchor(str):
    """Text that can be linked to: its id is the text itself."""


@dataclass(frozen=True)
class Paragraph:
    text: str
    kind: str = "paragraph"


@dataclass(frozen=True)
class Notice:
    """Something the reader must not miss."""

    text: str
    kind: str = "notice"


@dataclass(frozen=True)
class Listing:
    """A bulleted list."""

    items: Sequence[str]
    kind: str = "listing"


@dataclass(frozen=True)
class Heading:
    """A heading below the section's own."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row names the row, `left` columns are words, the rest numbers.

    `flagged` holds the numbers of the rows to be marked; their text must say why as well. A table of sentences has
    `wrap`, so that they break into lines.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    flagged: frozenset[int] = frozenset()
    wrap: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figures:
    """Figures that share one caption, side by side where there is room; a chart may grow and shrink, a map may not."""

    caption: str
    figures: Sequence[Figure]
    chart: bool = True
    kind: str = "figures"


@dataclass(frozen=True)
class LegendEntry:
    """A model: how it is drawn in every figure, and what it is in a sentence."""

    name: str
    colour: str
    marker: str
    text: str


@dataclass(frozen=True)
class Legend:
    """Every model of the report."""

    entries: Sequence[LegendEntry]
    kind: str = "legend"


@dataclass(frozen=True)
class Explorer:
    """All maps of a few sentences, the models side by side; `replaces` names the figures shown without scripts.

    `sentences` holds plain values: for each sentence its name and, for each model, label, colour, source and target
    tokens and maps, a map being its name, number of heads and weights (`packed`).
    """

    identifier: str
    caption: str
    sentences: Sequence[Mapping[str, Any]]
    replaces: Sequence[str]
    kind: str = "explorer"

    @property
    def data(self) -> dict[str, Any]:
        return {"sentences": list(self.sentences), "replaces": list(self.replaces)}


Block = Paragraph | Notice | Listing | Heading | Table | Figures | Legend | Explorer


@dataclass(frozen=True)
class Source:
    """A run behind a section's numbers: its number in the list of runs, whose it is, and what made it."""

    number: str
    system: str
    seed: int
    origin: str


@dataclass
class Section:
    """A part of the page; `sources` are the runs that its numbers come from."""

    identifier: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    sources: Sequence[Source] = ()


def figures_of(sections: Sequence[Section]) -> list[Figure]:
    blocks = [block for section in sections for block in section.blocks]
    return [figure for block in blocks if isinstance(block, Figures) for figure in block.figures]
