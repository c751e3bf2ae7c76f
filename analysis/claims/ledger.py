"""The ledger: every claim with its verdict, effect, figure, rule, and what would change the verdict."""

import math
from collections.abc import Callable, Iterable, Sequence

from analysis.claims.verdict import (
    ABOVE,
    CANNOT_TELL,
    CONTRADICTED,
    FACT,
    SUPPORTED,
    Claim,
    Condition,
    Line,
    Rule,
    Verdict,
    Verdicts,
    plain,
)
from analysis.page.blocks import Block, ClaimRow, Claims, FigureLink, Figures, Paragraph, Section
from analysis.page.labels import NONE, counted, decimal, listing, with_span
from analysis.statistics.intervals import Interval
from analysis.store import Store, by_system

READING = (
    "An interval decides, never a mean. Cannot tell here: this measurement could not have shown either outcome. Open a "
    "claim for its rule and its reason. Repeats are seeds, or processes where time was measured. No correction is made "
    "for the number of claims."
)


def build(store: Store, parts: Sequence[tuple[str, Verdicts]], before: Sequence[Section]) -> Section:
    """Every claim in a line, its rule folded; `parts` are how each question's are read, `before` have the figures."""
    drawn = drawn_in(block for section in before for block in section.blocks)
    rows = [
        (claim, verdict, one_line(store, claim, verdict, reading, drawn))
        for reading, verdicts in parts
        for claim, verdict in verdicts
    ]
    tested = [(claim, verdict.outcome, row) for claim, verdict, row in rows if verdict.tested]
    judged = [(claim, row) for claim, outcome, row in tested if outcome not in (FACT, CANNOT_TELL)]
    popular, against = ([row for claim, row in judged if claim.contrary == contrary] for contrary in (False, True))
    facts, powerless = ([row for _, outcome, row in tested if outcome == kind] for kind in (FACT, CANNOT_TELL))
    untested = [row for _, verdict, row in rows if not verdict.tested]
    blocks: list[Block] = [Paragraph(READING)] if popular or against or powerless else []
    blocks += [Claims("As commonly told", popular)] if popular else []
    blocks += [Claims("Against the popular story", against)] if against else []
    blocks += [Claims("Mathematics, which no measurement could change", facts)] if facts else []
    for heading, folded in (("Cannot tell here", powerless), ("Not run", untested)):
        number = counted(len(folded), "claim", "claims")
        blocks += [Claims(f"{heading}: {number}", folded, fold=True)] if folded else []
    return Section("claims", "Claims", blocks)


def drawn_in(blocks: Iterable[Block]) -> set[str]:
    return {figure.name for block in blocks if isinstance(block, Figures) for figure in block.figures}


def one_line(store: Store, claim: Claim, verdict: Verdict, reading: str, drawn: set[str]) -> ClaimRow:
    changes = what_changes(verdict)
    details = {
        "Why": verdict.reason,
        "Rule": in_full(claim.rule),
        "How to read it": reading,
        "What would change the verdict": changes,
        "Source of the claim": claim.source,
        "Needs": "" if verdict.tested else needs(claim),
        "Figure": FigureLink(claim.figure) if claim.figure in drawn else "",
    }
    outcome = verdict.outcome if verdict.tested else "not run"
    found = [(name, text) for name, text in details.items() if text]
    repeated = repeats(store, claim) if verdict.tested else 0
    return ClaimRow(claim.text, outcome, effect_text(verdict.effect), str(repeated or NONE), found)


def repeats(store: Store, claim: Claim) -> int:
    """How many seeds, or processes, the measurements of a claim come from: the fewest of any model on its task."""
    experiment, task, _ = claim.needs
    if claim.repeats is not None:
        return claim.repeats
    if not task:
        return len({run.seed for run in store.finished(experiment)})
    return min(map(len, by_system(store.finished(experiment, task)).values()), default=0)


def effect_text(effect: Interval | None) -> str:
    if effect is None:
        return NONE
    if abs(effect.value) < 0.001 and max(abs(effect.low), abs(effect.high)) < 0.001:
        return f"{effect.value:.2g} ({effect.low:.2g} to {effect.high:.2g})"
    return with_span(effect, 3)


def needs(claim: Claim) -> str:
    experiment, task, metric = claim.needs
    return f"{experiment}: {metric.replace('_', ' ')}{f' on {task}' if task else ''}"


def in_full(rule: Rule) -> str:
    """Everything a rule holds, in sentences made from its lines."""
    parts = [f"Effect: {rule.effect}", decides(rule)]
    parts += [f"Can tell only where {listing([str(power) for power in rule.power])}"] if rule.power else []
    parts += [str(part) for part in (rule.learning, rule.note) if part]
    return " ".join(f"{part}." for part in parts)


def decides(rule: Rule) -> str:
    """Supported if the interval lies above 1.5; contradicted if it lies below 1.5"""
    name = names(rule.lines)
    supported = joined([(line.what, f"lies {inside(line)}") for line in rule.lines], "and")
    contradicted = joined([(name(line), f"lies {beyond(line)}") for line in rule.lines], "or")
    met = "A fact of mathematics, borne out" if rule.fact else "Supported"
    return f"{met} if {supported}; contradicted if {contradicted}"


def what_changes(verdict: Verdict) -> str:
    """The lines that an interval would have to reach or to cross for another verdict, or what is missing for one."""
    conditions = verdict.conditions
    if verdict.needed or not conditions:
        return verdict.needed
    name = names([condition.line for condition in conditions])
    unmet = [condition for condition in conditions if not condition.met]
    contradicted = f"contradicted if {joined([(name(c.line), f'lay {beyond(c.line)}') for c in conditions], 'or')}"
    if verdict.outcome == SUPPORTED:
        first = f"Not decided if {joined([(measured(c), reached(c.line.side, c.line.at)) for c in conditions], 'or')}"
        second = contradicted
    elif verdict.outcome == CONTRADICTED:
        broken = [(measured(c), reached(c.line.other_side, c.line.breaking)) for c in conditions if c.broken]
        first = f"Not decided if {joined(broken, 'and')}"
        second = f"supported if {joined([(name(c.line), f'lay {inside(c.line)}') for c in unmet], 'and')}"
    else:
        first = f"Supported if {joined([(measured(c), f'lay {inside(c.line)}') for c in unmet], 'and')}"
        second = contradicted
    return f"{first}; {second}."


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


def reached(side: str, at: float) -> str:
    return f"reached {'down' if side == ABOVE else 'up'} to {plain(at)}"


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
