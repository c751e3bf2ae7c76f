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
    """Text shown as a link to a section."""

    section = ""

    @classmethod
    def to(cls, section: str, text: str) -> "SectionLink":
        made = cls(text)
        made.section = section
        return made


class Best(str):
    """A value marked as the best of its row."""


class Weak(str):
    """A value of a model that was not trained enough."""


class Anchor(str):
    """Text that can be linked to: its id is the text itself."""


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Notice:
    """Something the reader must not miss."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A bulleted list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Heading:
    """A heading below the section's own."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row names the row, `left` columns are words, the rest numbers.

    `flagged` holds the numbers of the rows to be marked; their text must say why as well. A table of sentences has
    `wrap`, so that they break into lines. A `board` has few words in its cells, so that it fits a phone: there the
    first cell of a row is a line of its own.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    flagged: frozenset[int] = frozenset()
    wrap: bool = False
    board: bool = False


@dataclass(frozen=True)
class Figures:
    """Figures that share one caption, side by side where there is room; a chart may grow and shrink, a map may not."""

    caption: str
    figures: Sequence[Figure]
    chart: bool = True


@dataclass(frozen=True)
class Answer:
    """One of the three questions with its answer in a sentence or two, and the figures that show it."""

    question: str
    text: str
    figures: Sequence[Figure] = ()
    caption: str = ""


@dataclass(frozen=True)
class Answers:
    """The first screen: answers side by side."""

    answers: Sequence[Answer]


@dataclass(frozen=True)
class ClaimRow:
    """A claim in one line; `details` fold out, each with its name."""

    text: str
    outcome: str
    effect: str
    repeats: str
    details: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Claims:
    """Claims with their verdicts, a line each; all of them folded away under a `fold` text."""

    heading: str
    rows: Sequence[ClaimRow]
    fold: bool = False

    @property
    def lines(self) -> list[tuple[str, ClaimRow]]:
        """Each with its text, of a claim made before of something else only what that is: “… (test2017)”."""
        claims = [row.text.rpartition(" (")[0] for row in self.rows]
        again = [bool(claim) and claim == above for claim, above in zip(claims, ["", *claims], strict=False)]
        return [
            (f"…{row.text.removeprefix(claim)}" if seen else row.text, row)
            for row, claim, seen in zip(self.rows, claims, again, strict=True)
        ]

    @property
    def table(self) -> Table:
        """On paper, where nothing folds out: a line each."""
        rows = [[text, row.outcome, row.effect, row.repeats] for text, row in self.lines]
        return Table(self.heading, ["claim", "verdict", "effect (interval)", "repeats"], rows, left=4, wrap=True)


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


@dataclass(frozen=True)
class Explorer:
    """All maps of a few sentences, the models side by side; `replaces` names the figures shown without scripts.

    `sentences` holds plain values: for each sentence its name and, for each model, label, colour, the map and the head
    shown first, source and target words and maps, a map being its name, number of heads and weights (`packed`).
    """

    identifier: str
    caption: str
    sentences: Sequence[Mapping[str, Any]]
    first: int
    replaces: Sequence[str]

    @property
    def data(self) -> dict[str, Any]:
        return {"sentences": list(self.sentences), "first": self.first, "replaces": list(self.replaces)}


Block = Paragraph | Notice | Listing | Heading | Table | Figures | Answers | Claims | Legend | Explorer


@dataclass
class Section:
    """A part of the page; `sources` are the numbers of the runs behind it, `short` is its name in the contents."""

    identifier: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    sources: Sequence[str] = ()
    short: str = ""


@dataclass(frozen=True)
class Group:
    """Sections of the appendix that belong to one question."""

    identifier: str
    title: str
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """What everybody sees, then an appendix folded by question; `facts` is the line under the title."""

    title: str
    suite: str
    facts: str
    screens: Sequence[Section]
    appendix: Sequence[Group] = ()

    @property
    def sections(self) -> list[Section]:
        return [*self.screens, *(section for group in self.appendix for section in group.sections)]

    @property
    def summary(self) -> str:
        blocks = [block for section in self.screens for block in section.blocks if isinstance(block, Answers)]
        return " ".join(answer.text for block in blocks for answer in block.answers)


def figures_of(sections: Sequence[Section]) -> list[Figure]:
    found: list[Figure] = []
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Figures):
            found += block.figures
        elif isinstance(block, Answers):
            found += [figure for answer in block.answers for figure in answer.figures]
    return found
