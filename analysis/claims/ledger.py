"""The ledger: every claim with its verdict, effect, figure, rule, and what would change the verdict."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from analysis.claims.evidence import ABOVE, CONTRADICTED, NOT_DECIDED, SUPPORTED, Claim, Condition, Verdict, plain
from analysis.long_range.section import Verdicts, drawn_in, figure_of
from analysis.long_range.tables import effect_text
from analysis.page.blocks import Anchor, Block, FigureLink, Paragraph, Section, Table
from analysis.page.labels import NONE, decimal, listing
from analysis.statistics.intervals import Interval
from analysis.store import Store

EVERY = (
    "A claim is decided by an interval, never by a mean (what no training changes and what is counted have one value). "
    "Not decided means that a model was under-trained or still learning, that an interval crosses its line, or what "
    "else the reason names. Of a model with one seed, what another training run would give is unknown. No correction "
    "is made for the number of claims."
)
LONG_RANGE = (
    "The margins for the synthetic tasks were fixed before their runs. Two conditions were added after the first of "
    "them: that a model still learning when its budget ended is not called unable, and that shuffling is judged on "
    "tasks run with and without positions alone. The margin for contrastive translation was fixed after a first look "
    "at the scores of one suite, those for the softmax of random scores when it was known that its entropy falls. A "
    "model below 0.99 at the easiest setting is under-trained. The intervals cover the choice of test examples and are "
    "widened until they hold every seed."
)
TRANSLATION = (
    "The rules on translation were written when the BLEU of one suite was known, so what they say of that suite is no "
    "prediction; the rule for heads was written before any head was measured. The intervals are those of the paired "
    "bootstrap over sentences (Koehn 2004), widened until they hold every seed."
)
SPEED = (
    "Claims on speed hold for the machine, the kernels and the sizes that they were measured with, and for no other. "
    "Their margins were fixed before the measurements. Their intervals cover the noise of the clock, or how far a "
    "straight line on logarithmic axes is from the points (t interval of an exponent); counts of operations are exact."
)
LEDGER = ["claim", "verdict", "effect (interval)", "why", "figure", "rule", "what would change the verdict"]
UNTESTED = ["claim", "verdict", "why", "rule"]
RULES = ["rule", "in full", "told by"]

Row = tuple[Claim, Verdict, str]
Numbers = Mapping[tuple[str, str], str]  # of rules, by their text and source
Say = Callable[[Condition], str]


def build(
    store: Store,
    before: Sequence[Section],
    *,
    long_range: Verdicts = (),
    translation: Verdicts = (),
    speed: Verdicts = (),
) -> Section:
    """`before` are the sections that hold the figures, so that a link leads somewhere."""
    drawn = drawn_in(block for section in before for block in section.blocks)
    parts = ((LONG_RANGE, long_range), (TRANSLATION, translation), (SPEED, speed))
    rows = [(c, v, figure_of(store, c, drawn)) for _, verdicts in parts for c, v in verdicts]
    texts = [text for text, verdicts in parts if any(verdict.tested for _, verdict in verdicts)]
    blocks: list[Block] = [Paragraph(text) for text in (f"{counted(rows)} {EVERY}", *texts)]
    tested = [row for row in rows if row[1].tested]
    popular = [row for row in tested if not row[0].contrary]
    against = [row for row in tested if row[0].contrary]
    untested = [row for row in rows if not row[1].tested]
    both = dict.fromkeys((claim.rule, claim.source) for claim, _, _ in [*popular, *against, *untested])
    numbers = {rule: f"L{number}" for number, rule in enumerate(both, start=1)}
    blocks += [ledger("Claims as commonly told.", popular, numbers)] if popular else []
    caption = "Claims against the popular story: supported means that the story is wrong here."
    blocks += [ledger(caption, against, numbers)] if against else []
    blocks += [missing(untested, numbers)] if untested else []
    in_full = [[Anchor(numbers[rule, source]), rule, source] for rule, source in both]
    blocks.append(
        Table("The rules in full: what each effect is, and who tells the claim.", RULES, in_full, 3, wrap=True)
    )
    return Section("claims", "Claims", blocks)


def counted(rows: Sequence[Row]) -> str:
    outcomes = Counter(verdict.outcome if verdict.tested else "not tested" for _, verdict, _ in rows)
    found = [f"{outcomes[name]} {name}" for name in (SUPPORTED, CONTRADICTED, NOT_DECIDED, "not tested")]
    return f"Of {len(rows)} claims: {listing(found)} by this suite."


def ledger(caption: str, rows: Sequence[Row], numbers: Numbers) -> Table:
    lines = [
        [
            claim.text,
            verdict.outcome,
            effect_text(verdict.effect),
            verdict.reason,
            FigureLink(figure) if figure else NONE,
            in_short(claim, numbers),
            what_changes(verdict),
        ]
        for claim, verdict, figure in rows
    ]
    return Table(caption, LEDGER, lines, left=len(LEDGER), wrap=True)


def missing(rows: Sequence[Row], numbers: Numbers) -> Table:
    """Claims that nothing was run for: what is missing would change the verdict."""
    lines = [[claim.text, verdict.outcome, verdict.reason, in_short(claim, numbers)] for claim, verdict, _ in rows]
    caption = "Claims that no finished run of this suite tests; what the reason names, once run, decides them."
    return Table(caption, UNTESTED, lines, left=len(UNTESTED), wrap=True)


def in_short(claim: Claim, numbers: Numbers) -> str:
    """The number of the rule, and of its text the lines that decide."""
    decides = claim.rule[claim.rule.index("Supported if") :].split(". ")[0].split("; not decided")[0].removesuffix(".")
    return f"{numbers[claim.rule, claim.source]}. {decides}."


def what_changes(verdict: Verdict) -> str:
    """The lines that an interval would have to reach or to cross for another verdict, or what is missing for one."""
    conditions = verdict.conditions
    if verdict.needed or not conditions:
        return verdict.needed
    unmet = [condition for condition in conditions if not condition.met]
    broken = [condition for condition in conditions if condition.broken]
    breakable = [condition for condition in conditions if not math.isnan(condition.breaking)]
    named = len({condition.what for condition in conditions}) > 1
    contradicted = f"contradicted if {joined(breakable, beyond, 'or', again(named))}" if breakable else ""
    if verdict.outcome == SUPPORTED:
        first, second = f"Not decided if {joined(conditions, reached, 'or', in_full)}", contradicted
    elif verdict.outcome == CONTRADICTED:
        first = f"Not decided if {joined(broken, reached_again, 'and', in_full)}"
        second = f"supported if {joined(unmet, inside, 'and', again(named))}"
    else:
        first, second = f"Supported if {joined(unmet, inside, 'and', in_full)}", contradicted
    return f"{first}; {second}." if second else f"{first}."


def joined(conditions: Sequence[Condition], say: Say, by: str, subject: Say) -> str:
    """Each condition said of its quantity, which is named once where several in a row are of the same."""
    parts: list[str] = []
    last = ""
    for condition in conditions:
        parts.append(say(condition) if condition.what == last else f"{subject(condition)} {say(condition)}")
        last = condition.what
    return f" {by} ".join(parts)


def in_full(condition: Condition) -> str:
    return f"{condition.what} ({ends(condition.interval)})"


def again(named: bool) -> Say:
    """A quantity that was named before: by its name where there are several."""
    return lambda condition: condition.what if named else "it"


def reached(condition: Condition) -> str:
    return f"reached {'down' if condition.side == ABOVE else 'up'} to {plain(condition.line)}"


def reached_again(condition: Condition) -> str:
    return f"reached {'up' if condition.side == ABOVE else 'down'} to {plain(condition.breaking)}"


def inside(condition: Condition) -> str:
    return f"lay {condition.side} {plain(condition.line)}"


def beyond(condition: Condition) -> str:
    return f"lay {condition.other_side} {plain(condition.breaking)}"


def ends(interval: Interval) -> str:
    """0.630 to 0.648, or one number where there is no more; small numbers with two digits."""
    if math.isnan(interval.low):
        return "unknown"
    small = max(abs(interval.low), abs(interval.high)) < 0.001
    each = [f"{end:.2g}" if small else decimal(end, 3) for end in (interval.low, interval.high)]
    return each[0] if each[0] == each[1] else " to ".join(each)
