"""The ledger: every claim with its verdict, effect, figure, rule, and what would change the verdict."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from analysis.claims.verdict import (
    ABOVE,
    CANNOT_TELL,
    CONTRADICTED,
    FACT,
    NOT_DECIDED,
    SUPPORTED,
    Claim,
    Condition,
    Line,
    Rule,
    Verdict,
    Verdicts,
    plain,
)
from analysis.page.blocks import Anchor, Block, FigureLink, Figures, Paragraph, Section, Table
from analysis.page.labels import NONE, decimal, listing, with_span
from analysis.statistics.intervals import Interval

READING = (
    "A claim is decided by an interval, never by a mean. Not decided: a model was under-trained or still learning, an "
    "interval crosses its line, or see the reason. Cannot tell here: the measurement could not have shown it. A fact "
    "is mathematics, which no measurement could change. With one seed, run-to-run variation is unknown. No correction "
    "is made for the number of claims."
)
OUTCOMES = (SUPPORTED, CONTRADICTED, NOT_DECIDED, CANNOT_TELL, FACT, "not tested")
LEDGER = ["claim", "verdict", "effect (interval)", "why", "figure", "rule", "what would change the verdict"]
UNTESTED = ["claim", "verdict", "why", "needs", "rule"]
RULES = ["rule", "in full", "source"]

Numbers = Mapping[tuple[str, str], str]  # of rules, by their text and source


def build(parts: Sequence[tuple[str, Verdicts]], before: Sequence[Section]) -> Section:
    """For each question how its claims are to be read, and its verdicts; `before` are the sections with the figures."""
    drawn = drawn_in(block for section in before for block in section.blocks)
    rows = [row for _, verdicts in parts for row in verdicts]
    texts = [text for text, verdicts in parts if any(verdict.tested for _, verdict in verdicts)]
    tested = [row for row in rows if row[1].tested]
    popular = [row for row in tested if not row[0].contrary]
    against = [row for row in tested if row[0].contrary]
    untested = [row for row in rows if not row[1].tested]
    rules = dict.fromkeys((in_full(claim.rule), claim.source) for claim, _ in [*popular, *against, *untested])
    numbers = {rule: f"L{number}" for number, rule in enumerate(rules, start=1)}
    blocks: list[Block] = [Paragraph(text) for text in (f"{counted(rows)} {READING}", *texts)]
    blocks += [ledger("Claims as commonly told.", popular, numbers, drawn)] if popular else []
    caption = "Claims against the popular story: supported means that the story is wrong here."
    blocks += [ledger(caption, against, numbers, drawn)] if against else []
    blocks += [missing(untested, numbers)] if untested else []
    full = [[Anchor(number), *rule] for rule, number in numbers.items()]
    blocks.append(Table("The rules in full.", RULES, full, 3, wrap=True))
    return Section("claims", "Claims", blocks)


def drawn_in(blocks: Iterable[Block]) -> set[str]:
    return {figure.name for block in blocks if isinstance(block, Figures) for figure in block.figures}


def counted(rows: Verdicts) -> str:
    outcomes = Counter(verdict.outcome if verdict.tested else "not tested" for _, verdict in rows)
    found = [f"{outcomes[name]} {name}" for name in OUTCOMES if outcomes[name]]
    return f"Of {len(rows)} claims: {listing(found)} by this suite."


def ledger(caption: str, rows: Verdicts, numbers: Numbers, drawn: set[str]) -> Table:
    lines = [
        [*cells(claim, verdict, drawn), in_short(claim, numbers), what_changes(verdict)] for claim, verdict in rows
    ]
    return Table(caption, LEDGER, lines, left=len(LEDGER), wrap=True)


def verdict_table(caption: str, rows: Verdicts, drawn: set[str]) -> Table:
    """Claims with their verdicts, without the rules."""
    return Table(caption, LEDGER[:5], [cells(*row, drawn) for row in rows], left=5, wrap=True)


def cells(claim: Claim, verdict: Verdict, drawn: set[str]) -> list[str]:
    figure = FigureLink(claim.figure) if claim.figure in drawn else NONE
    return [claim.text, verdict.outcome, effect_text(verdict.effect), verdict.reason, figure]


def effect_text(effect: Interval | None) -> str:
    if effect is None:
        return NONE
    if abs(effect.value) < 0.001 and max(abs(effect.low), abs(effect.high)) < 0.001:
        return f"{effect.value:.2g} ({effect.low:.2g} to {effect.high:.2g})"
    return with_span(effect, 3)


def missing(rows: Verdicts, numbers: Numbers) -> Table:
    """Claims that nothing was run for."""
    lines = [
        [claim.text, verdict.outcome, verdict.reason, needs(claim), in_short(claim, numbers)] for claim, verdict in rows
    ]
    caption = "Claims that no finished run of this suite tests."
    return Table(caption, UNTESTED, lines, left=len(UNTESTED), wrap=True)


def needs(claim: Claim) -> str:
    experiment, task, metric = claim.needs
    return f"{experiment}: {metric.replace('_', ' ')}{f' on {task}' if task else ''}"


def in_full(rule: Rule) -> str:
    """Everything a rule holds, in sentences made from its lines."""
    parts = [f"Effect: {rule.effect}", decides(rule)]
    parts += [f"Can tell only where {listing([str(power) for power in rule.power])}"] if rule.power else []
    parts += [str(part) for part in (rule.learning, rule.note) if part]
    return " ".join(f"{part}." for part in parts)


def in_short(claim: Claim, numbers: Numbers) -> str:
    """The number of the rule, and its lines."""
    return f"{numbers[in_full(claim.rule), claim.source]}. {decides(claim.rule)}."


def decides(rule: Rule) -> str:
    """Supported if the interval lies above 1.5; contradicted if it lies below 1.5"""
    if not rule.lines:
        return "A fact, shown and not judged"
    name = names(rule.lines)
    supported = joined([(line.what, f"lies {inside(line)}") for line in rule.lines], "and")
    contradicted = joined([(name(line), f"lies {beyond(line)}") for line in rule.lines if breakable(line)], "or")
    return f"Supported if {supported}; contradicted if {contradicted}"


def what_changes(verdict: Verdict) -> str:
    """The lines that an interval would have to reach or to cross for another verdict, or what is missing for one."""
    conditions = verdict.conditions
    if verdict.needed or not conditions:
        return verdict.needed
    name = names([condition.line for condition in conditions])
    unmet = [condition for condition in conditions if not condition.met]
    lay_beyond = [(name(c.line), f"lay {beyond(c.line)}") for c in conditions if breakable(c.line)]
    contradicted = f"contradicted if {joined(lay_beyond, 'or')}" if lay_beyond else ""
    if verdict.outcome == SUPPORTED:
        first = f"Not decided if {joined([(measured(c), reached(c.line)) for c in conditions], 'or')}"
        second = contradicted
    elif verdict.outcome == CONTRADICTED:
        broken = [(measured(c), reached_again(c.line)) for c in conditions if c.broken]
        first = f"Not decided if {joined(broken, 'and')}"
        second = f"supported if {joined([(name(c.line), f'lay {inside(c.line)}') for c in unmet], 'and')}"
    else:
        first = f"Supported if {joined([(measured(c), f'lay {inside(c.line)}') for c in unmet], 'and')}"
        second = contradicted
    return f"{first}; {second}." if second else f"{first}."


def names(lines: Sequence[Line]) -> Callable[[Line], str]:
    """How a quantity that was named before is called: by its name where there are several."""
    several = len({line.what for line in lines}) > 1
    return lambda line: line.what if several else "it"


def joined(parts: Sequence[tuple[str, str]], by: str) -> str:
    """What is said of each quantity, which is named once where several parts in a row are about the same."""
    texts: list[str] = []
    last = ""
    for subject, text in parts:
        texts.append(text if subject == last else f"{subject} {text}")
        last = subject
    return f" {by} ".join(texts)


def measured(condition: Condition) -> str:
    return f"{condition.line.what} ({ends(condition.interval)})"


def breakable(line: Line) -> bool:
    return not math.isnan(line.breaking)


def reached(line: Line) -> str:
    return f"reached {'down' if line.side == ABOVE else 'up'} to {plain(line.at)}"


def reached_again(line: Line) -> str:
    return f"reached {'up' if line.side == ABOVE else 'down'} to {plain(line.breaking)}"


def inside(line: Line) -> str:
    return f"{line.side} {plain(line.at)}"


def beyond(line: Line) -> str:
    return f"{line.other_side} {plain(line.breaking)}"


def ends(interval: Interval) -> str:
    """0.630 to 0.648, or one number where there is no more; small numbers with two digits."""
    if math.isnan(interval.low):
        return "unknown"
    small = max(abs(interval.low), abs(interval.high)) < 0.001
    each = [f"{end:.2g}" if small else decimal(end, 3) for end in (interval.low, interval.high)]
    return each[0] if each[0] == each[1] else " to ".join(each)
