"""The claims on long range in one place: verdict, effect, reason and rule."""

from collections.abc import Sequence

from analysis.blocks import Paragraph, Section, Table
from analysis.evidence import CONTRADICTED, NOT_DECIDED, SUPPORTED
from analysis.labels import listing
from analysis.long_range_section import Verdicts, drawn_in, figure_of
from analysis.long_range_tables import verdict_table
from analysis.records import Store


def build(store: Store, verdicts: Verdicts, before: Sequence[Section]) -> Section:
    """`before` are the sections that hold the figures, so that a link leads somewhere."""
    drawn = drawn_in(block for section in before for block in section.blocks)
    outcomes = [verdict.outcome for _, verdict in verdicts]
    numbers = listing([f"{outcomes.count(outcome)} {outcome}" for outcome in (SUPPORTED, CONTRADICTED, NOT_DECIDED)])
    rows = [(claim, verdict, figure_of(store, claim, drawn)) for claim, verdict in verdicts]
    popular = [row for row in rows if not row[0].contrary]
    against = [row for row in rows if row[0].contrary]
    rules = [[claim.text, claim.rule, claim.source] for claim, _ in verdicts]
    return Section(
        "claims",
        "Claims on long range",
        [
            Paragraph(
                f"Of {len(verdicts)} claims: {numbers}. The margins for the synthetic tasks were fixed before "
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
            ),
            verdict_table("Claims as commonly told.", popular),
            verdict_table("Claims against the popular story: supported means that the story is wrong here.", against),
            Table("The rules.", ["claim", "rule", "source"], rules, left=3, wrap=True),
        ],
    )
