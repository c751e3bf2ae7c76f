"""The claims about long range: who makes each, the measurements it needs, its rule and its figure."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from analysis.claims.verdict import ABOVE, BAHDANAU, BELOW, LSTM, RNN, TRANSFORMER, VASWANI, Claim, Needs, Rule
from analysis.long_range import rules
from analysis.long_range.evidence import EXPERIMENT, Evidence, rows_of, systems_of, tasks_of
from analysis.store import System
from experiments.record.metrics import MASTERED

READING = (
    f"A model below {MASTERED} at the easiest setting is under-trained. The intervals of accuracies cover the choice "
    "of test examples and are widened until they hold every seed."
)
POPULAR = "Commonly told, after Bengio et al. 1994"
POSITIONS, SCALING = "position encodings", "scaling by head size"  # groups of variants


class Part(NamedTuple):
    """A claim about a part of the Transformer: `without` matches the variants that lack it."""

    text: str
    source: str
    without: str
    group: str
    both_master: bool = False
    tasks: Sequence[str] = ()


ORDERED = ("copy", "reverse", "recall", "selective-copy")  # tasks whose answer depends on the order of the source
PARTS = (
    Part("Without positions, order is lost", f"{VASWANI}, section 3.5", "none", POSITIONS, tasks=ORDERED),
    Part("1/√d matters for what is learned", f"{VASWANI}, 3.2.1", "unscaled-.*", SCALING),
    Part("Several heads see several relations", f"{VASWANI}, 3.2.2", "heads1", "number of heads", both_master=True),
    Part("Residual connections are a safety net", "He et al. 2016", "no-residual.*", "residual connections by depth"),
)


def all_claims(evidence: Evidence) -> list[Claim]:
    """Every claim that the long-range runs can decide; a claim about a part has a row for each task that varies it."""
    tasks = tasks_of(evidence.store)
    pairs = [task for task in tasks if task.startswith("associative-recall")] or ["associative-recall"]
    popular = [*recurrence(evidence, pairs), *attention(evidence, pairs), *parts(evidence, tasks)]
    return [*popular, *contrary(evidence, tasks)]


def about(
    evidence: Evidence,
    text: str,
    source: str,
    rule: Rule,
    task: str,
    vary: str = "",
    metric: str = "token_accuracy",
    group: str = "",
) -> Claim:
    """`vary` and `group` say which axis, and which variants, the figure of the claim shows."""
    figure = evidence.figure(task, vary, metric, group)
    return Claim(text, source, Needs(EXPERIMENT, task, metric), rule, figure)


def recurrence(evidence: Evidence, pairs: Sequence[str]) -> list[Claim]:
    forget = "RNNs forget: the first words fade with the gap (plain RNN)"
    faint = "RNNs forget: the gradient of the first words fades"
    vector = "One fixed vector must hold everything: the LSTM alone fails as"
    rows = [about(evidence, forget, POPULAR, rules.over_gap(evidence, RNN, ABOVE), "recall", "gap")]
    for system, name in ((RNN, "plain RNN"), (LSTM, "LSTM")):
        rule = rules.gradient_fades(evidence, system)
        rows.append(
            about(evidence, f"{faint} ({name})", POPULAR, rule, "recall", rules.INITIAL, metric="gradient_reach")
        )
    rows.append(about(evidence, f"{vector} copies grow", BAHDANAU, rules.one_vector(evidence, "copy"), "copy"))
    for task in pairs:
        rule = rules.one_vector(evidence, task)
        rows.append(about(evidence, f"{vector} pairs grow ({task})", "Arora et al. 2023", rule, task))
    return rows


def attention(evidence: Evidence, pairs: Sequence[str]) -> list[Claim]:
    fixes = "Attention on top of the RNN fixes the accuracy"
    direct = "The Transformer relates any two positions directly, distance is irrelevant"
    rows = [
        about(evidence, f"{fixes} ({task})", BAHDANAU, rules.attention_fixes(evidence, task), task)
        for task in ("copy", *pairs)
    ]
    return [*rows, about(evidence, direct, VASWANI, rules.over_gap(evidence, TRANSFORMER, BELOW), "recall", "gap")]


def parts(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """What the parts of the Transformer are for: with each against without it, on every task that was run both ways."""
    shuffled = "Without positions, “dog bites man” equals “man bites dog”"
    softmax = "1/√d keeps the softmax from saturating (random queries and keys)"
    measured = [task for task in tasks if len(rows_of(evidence.store, task, rules.SHUFFLED))]
    both_ways = [task for task in measured if without_part(evidence, task, "none")]
    rule, source = rules.shuffling(evidence), f"{VASWANI}, section 3.5"
    rows = [about(evidence, shuffled, source, rule, next(iter(both_ways), ""), group=POSITIONS)]
    for part in PARTS:
        if part.group == SCALING:
            needs = Needs(EXPERIMENT, "", "score_entropy")
            rows.append(Claim(softmax, f"{VASWANI}, section 3.2.1", needs, rules.saturation(evidence), needs.metric))
        rows += of_part(evidence, part, tasks)
    return rows


def of_part(evidence: Evidence, part: Part, tasks: Sequence[str]) -> list[Claim]:
    found: list[tuple[str, str, System | None]] = [
        (f"{part.text} ({task}, variant {system.variant})", task, system)
        for task in tasks
        if not part.tasks or task in part.tasks
        for system in without_part(evidence, task, part.without)
    ]
    rows = []
    for text, task, system in found or [(part.text, "", None)]:
        rule = rules.part_matters(evidence, task, system, part.group, both=part.both_master)
        rows.append(about(evidence, text, part.source, rule, task, group=part.group))
    return rows


def contrary(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """Claims against the popular story."""
    gap = "A gap alone does not break the LSTM"
    beyond = "Beyond the gaps of training the Transformer fails as well"
    close, tang = "RNN and Transformer are close on agreement", "Tang et al. 2018"
    over_gap = rules.over_gap(evidence, LSTM, BELOW)
    past_training = rules.over_gap(evidence, TRANSFORMER, ABOVE, beyond=True)
    parity = "LSTMs generalise on parity where Transformers do not"
    copies = "No model copies far beyond its training length"
    deletang, neishi = "Delétang et al. 2023", "Neishi and Yoshinaga 2019"
    rows = [
        about(evidence, parity, deletang, rules.parity_beyond(evidence), "parity"),
        about(evidence, copies, deletang, rules.nobody_copies_far(evidence), "copy", metric="exact_match"),
        about(evidence, gap, "Tallec and Ollivier 2018", over_gap, "recall", "gap"),
        about(evidence, beyond, neishi, past_training, "recall", "gap"),
        about(evidence, f"{close} (templates)", tang, rules.close_on_agreement(evidence), "agreement", "distance"),
    ]
    for task in [task for task in tasks if task.startswith("contrastive-")] or [""]:
        rule, text = rules.close_in_translation(evidence, task), f"{close} ({task or 'translation'})"
        rows.append(about(evidence, text, tang, rule, task, "distance", metric="contrastive_accuracy"))
    return [replace(claim, contrary=True) for claim in rows]


def without_part(evidence: Evidence, task: str, pattern: str) -> list[System]:
    transformers = [system for system in systems_of(evidence.store, task) if system.model == "transformer"]
    return [system for system in transformers if re.fullmatch(pattern, system.variant)]
