"""The claims in one place: verdict, effect, reason and rule."""

from collections.abc import Sequence

from analysis.blocks import Block, Paragraph, Section, Table
from analysis.evidence import CONTRADICTED, NOT_DECIDED, SUPPORTED
from analysis.labels import listing
from analysis.long_range_section import Verdicts, drawn_in, figure_of
from analysis.long_range_tables import verdict_table
from analysis.records import Store

LONG_RANGE = (
    "The margins for the synthetic tasks were fixed before "
    "their runs. Two conditions were added after the first of them: that a model still learning when its "
    "budget ended is not called unable, and that shuffling is judged on tasks run with and without "
    "positions alone. The margin for contrastive translation was fixed after a first look at the scores of "
    "one suite, those for the softmax of random scores when it was known that its entropy falls. A claim "
    "is decided by an interval, never by a mean (the softmax of random scores, which no training changes, "
    "has one value): not decided means that a run is missing, "
    "that a model was under-trained (below 0.99 at the easiest setting), that the interval crosses the "
    "line, or what else the reason names. The intervals cover the "
    "choice of test examples and are widened until they hold every seed; with one seed, what another "
    "training run would give is unknown. No correction is made for the number of claims."
)
SPEED = (
    "Claims on speed hold for the machine, the kernels and the sizes named in the section Speed, and for no other. "
    "Their margins were fixed before the measurements. They are decided by intervals, which cover the noise of the "
    "clock, or how far a straight line on logarithmic axes is from the points (t interval of an exponent); counts of "
    "operations are exact. Not decided means that a measurement is missing, that an interval crosses the line, or that "
    "the times cannot be compared, as the reason says."
)


def build(store: Store, verdicts: Verdicts, before: Sequence[Section], speed: Verdicts = ()) -> Section:
    """`before` are the sections that hold the figures, so that a link leads somewhere."""
    both = [*verdicts, *speed]
    drawn = drawn_in(block for section in before for block in section.blocks)
    outcomes = [verdict.outcome for _, verdict in both]
    numbers = listing([f"{outcomes.count(outcome)} {outcome}" for outcome in (SUPPORTED, CONTRADICTED, NOT_DECIDED)])
    texts = [text for text, part in ((LONG_RANGE, verdicts), (SPEED, speed)) if part]
    texts[0] = f"Of {len(both)} claims: {numbers}. {texts[0]}"
    rows = [(claim, verdict, figure_of(store, claim, drawn)) for claim, verdict in both]
    popular = [row for row in rows if not row[0].contrary]
    against = [row for row in rows if row[0].contrary]
    rules = [[claim.text, claim.rule, claim.source] for claim, _ in both]
    explained: list[Block] = [Paragraph(text) for text in texts]
    return Section(
        "claims",
        "Claims" if verdicts and speed else "Claims on speed" if speed else "Claims on long range",
        [
            *explained,
            verdict_table("Claims as commonly told.", popular),
            verdict_table("Claims against the popular story: supported means that the story is wrong here.", against),
            Table("The rules.", ["claim", "rule", "source"], rules, left=3, wrap=True),
        ],
    )
