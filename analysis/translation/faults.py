"""Faults that can be counted: repetition, odd lengths, truncated hypotheses, copies of the source."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.page.blocks import Block, Listing, Paragraph, Table
from analysis.page.labels import counted, label, whole, with_span
from analysis.page.prose import PROSE
from analysis.statistics.intervals import Interval, wilson
from analysis.store import System
from analysis.translation.pairs import Frames
from experiments.record.languages import USUAL, words
from experiments.record.text import passage

LONGEST_REPEATED = 4  # words in a phrase that may repeat
LOOP = 3  # times in a row
SHORT, LONG = 0.5, 2  # hypothesis in lengths of the reference
EXAMPLES = 5
FAULTS = {
    "repeats": "a phrase of 1 to 4 words occurs twice in a row, but not in reference or source",
    "loops": f"such a phrase occurs at least {LOOP} times in a row",
    "too short": "shorter than half the reference",
    "too long": "longer than twice the reference",
    "truncated": "stopped by the limit on its length",
    "copied": "equal to the source but for case, where the reference is not",
}
SHOWN_ELSEWHERE = "loops"  # the worst of those that repeat, which come first there


class Finding(NamedTuple):
    """What shows a fault; among examples the greater `weight` comes first."""

    what: str
    weight: float = 0


def share(part: int, of: int) -> Interval:
    """A share in percent with its Wilson 95 % interval."""
    return Interval(*(100 * value for value in wilson(part / of, of)))


def repeats(words: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Phrases of 1 to 4 words that occur at least twice in a row, and how often; punctuation alone is no phrase."""
    found: dict[tuple[str, ...], int] = {}
    for n in range(1, LONGEST_REPEATED + 1):
        for start in range(len(words) - 2 * n + 1):
            phrase, times = tuple(words[start : start + n]), 1
            while tuple(words[start + times * n : start + (times + 1) * n]) == phrase:
                times += 1
            if times > 1 and any(character.isalnum() for character in "".join(phrase)):
                found[phrase] = max(found.get(phrase, 0), times)
    return found


def unasked_repeats(hypothesis: Sequence[str], reference: Sequence[str], source: Sequence[str]) -> dict[str, int]:
    """Repeats that the reference has less often, unless the source repeats a phrase of as many words (very, very)."""
    found = repeats(hypothesis)
    if not found:
        return {}
    allowed, lengths = repeats(reference), {len(phrase) for phrase in repeats(source)}
    return {
        " ".join(phrase): times
        for phrase, times in found.items()
        if times > allowed.get(phrase, 1) and len(phrase) not in lengths
    }


def faults_of(
    source: str, reference: str, hypothesis: str, truncated: bool, tokeniser: str = USUAL
) -> dict[str, Finding]:
    """The faults of one hypothesis."""
    asked, wanted, written = (
        [word.casefold() for word in words(t, tokeniser)] for t in (source, reference, hypothesis)
    )
    found: dict[str, Finding] = {}
    repeated = unasked_repeats(written, wanted, asked)
    if repeated:
        phrase, times = max(repeated.items(), key=lambda item: (item[1], len(item[0])))
        found["repeats"] = Finding(f"“{phrase}” {times} times", times)
        if times >= LOOP:
            found["loops"] = found["repeats"]
    ratio = len(written) / max(len(wanted), 1)
    lengths = f"{counted(len(written), 'word', 'words')} for {len(wanted)}"
    if ratio < SHORT:
        found["too short"] = Finding(lengths, -ratio)
    if ratio > LONG:
        found["too long"] = Finding(lengths, ratio)
    if truncated:
        found["truncated"] = Finding(f"after {counted(len(written), 'word', 'words')}")
    if written and written == asked != wanted:
        found["copied"] = Finding("the source")
    return found


class Checked(NamedTuple):
    """The hypotheses of one run on one test set, and their faults sentence by sentence."""

    test_set: str
    system: System
    seed: int
    sentences: pd.DataFrame
    faults: Sequence[Mapping[str, Finding]]


def check(test_set: str, system: System, seed: int, sentences: pd.DataFrame, tokeniser: str = USUAL) -> Checked:
    columns = (sentences[name] for name in ("source", "reference", "hypothesis", "truncated"))
    found = [faults_of(s, r, h, t, tokeniser) for s, r, h, t in zip(*columns, strict=True)]
    return Checked(test_set, system, seed, sentences, found)


def build(test_sets: Mapping[str, Frames], tokeniser: str = USUAL) -> list[Block]:
    """What counts as a fault, shares by model and test set, and examples of each fault."""
    checked = [
        check(name, system, seed, sentences, tokeniser)
        for name, frames in test_sets.items()
        for system, seeds in frames.items()
        for seed, sentences in seeds.items()
    ]
    return [
        Listing([f"{name}: {meaning}" for name, meaning in FAULTS.items()]),
        Paragraph(PROSE["words of faults"].format(tokeniser=tokeniser)),
        share_table(checked),
        *(table for fault in FAULTS if fault != SHOWN_ELSEWHERE for table in examples(fault, checked)),
    ]


def with_seed(checked: Sequence[Checked]) -> bool:
    return len({one.seed for one in checked}) > 1


def share_table(checked: Sequence[Checked]) -> Table:
    several = with_seed(checked)
    rows = []
    for one in checked:
        row = [label(one.system), one.test_set, *([str(one.seed)] if several else []), whole(len(one.faults))]
        counts = [sum(fault in faults for faults in one.faults) for fault in FAULTS]
        rows.append([*row, *(with_span(share(count, len(one.faults)), 1) for count in counts)])
    header = ["model", "test set", *(["seed"] if several else []), "sentences", *FAULTS]
    return Table(PROSE["shares of faults"], header, rows, left=2)


def examples(fault: str, checked: Sequence[Checked]) -> list[Table]:
    """Up to five hypotheses of each model with a fault, the worst first, at its first seed; no table without any."""
    first = {system: min(one.seed for one in checked if one.system == system) for system in {c.system for c in checked}}
    rows, totals = [], []
    for system in dict.fromkeys(one.system for one in checked):
        faulty = [
            (faults[fault], one.test_set, one.sentences.iloc[position])
            for one in checked
            if one.system == system and one.seed == first[system]
            for position, faults in enumerate(one.faults)
            if fault in faults
        ]
        seed = f" seed {first[system]}" if with_seed(checked) else ""
        totals.append(f"{label(system)}{seed} {len(faulty)}")
        for finding, test_set, row in sorted(faulty, key=lambda item: -item[0].weight)[:EXAMPLES]:
            where = f"{label(system)}, {test_set} {row['id']}"
            texts = (finding.what, row["source"], row["reference"], row["hypothesis"])
            rows.append([where, *map(passage, texts)])
    caption = PROSE["examples of a fault"].format(fault=fault.capitalize(), number=EXAMPLES, totals=", ".join(totals))
    header = ["sentence", "what", "source", "reference", "hypothesis"]
    return [Table(caption, header, rows, left=5, wrap=True)] if rows else []
