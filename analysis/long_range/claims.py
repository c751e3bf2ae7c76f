"""The claims about long range: who makes each, the measurements it needs, its rule and its figure."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from analysis.claims.verdict import BAHDANAU, LSTM, RNN, TRANSFORMER, VASWANI, Claim, Needs, Rule, within
from analysis.long_range import rules, transformer_rules
from analysis.long_range.axes import EXPERIMENT, TENFOLD, rows_of, systems_of, tasks_of
from analysis.long_range.evidence import Evidence
from analysis.store import System
from experiments.record.metrics import MASTERED

READING = (
    f"A model below {MASTERED} on its control, an easy setting, is under-trained, or, where ten times the budget did "
    "not help either, not able to learn it. Budgets, curricula and controls were changed after first results had been "
    "seen (copy: 1,800, then 5,000, now 4,000 updates), and are the same for every model. The intervals of accuracies "
    "cover the choice of test examples and are widened until they hold every seed."
)
POPULAR = "Commonly told, after Bengio et al. 1994"
# Groups of variants
POSITIONS, SCALING, FAMILY = "position encodings", "scaling by head size", "one stack or two"


class Part(NamedTuple):
    """A claim about a part of the Transformer: `without` matches the variants that lack it."""

    text: str
    source: str
    without: str
    group: str
    tasks: Sequence[str] = ()


RELATIONS = ("two-keys",)  # tasks that need two relations at once
GRU = System("gru", "base")
ALIKE, AHEAD = [rules.LEAD, rules.OVER_CHANCE], [rules.ROOM_ABOVE, rules.OVER_CHANCE]
ENCODER_ONLY, DECODER_ONLY = (System("transformer", f"{part}-only") for part in ("encoder", "decoder"))
BAHDANAU_ONE_STACK = System("bahdanau", "decoder-only")
RECURRENT_ENCODER = System("lstm", "encoder-only")
PARTS = (
    Part("1/√d matters for what is learned", f"{VASWANI}, 3.2.1", "unscaled-.*", SCALING),
    Part("Several heads see several relations", f"{VASWANI}, 3.2.2", "heads1(-.*)?", "number of heads", RELATIONS),
    Part("Residual connections are a safety net", "He et al. 2016", "no-residual.*", "residual connections by depth"),
)


def all_claims(evidence: Evidence) -> list[Claim]:
    """Every claim that the long-range runs can decide; a claim about a part has a row for each task that varies it."""
    tasks = tasks_of(evidence.store)
    pairs = [task for task in tasks if task.startswith("associative-recall")] or ["associative-recall"]
    popular = [
        *recurrence(evidence, pairs),
        *attention(evidence, pairs),
        *parts(evidence, tasks),
        *family(evidence, tasks),
    ]
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
    faint = "RNNs forget: before training the gradient of the first words fades"
    vector = "One fixed vector must hold everything: the LSTM alone fails as"
    rows = [about(evidence, forget, POPULAR, rules.fades_with_gap(evidence), "recall", "gap")]
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
    fixes = "Attention on top of the RNN, in the better of its forms, fixes the accuracy"
    direct = "The Transformer relates any two positions directly, distance is irrelevant"
    told = f"Commonly told, after {BAHDANAU}"
    rows = []
    for task in ("copy", *pairs):
        rule = rules.attention_fixes(evidence, task)
        claim = about(evidence, f"{fixes} ({task})", told, rule, task, metric="exact_match")
        rows.append(with_one_stack(evidence, claim))
    rule = rules.gap_is_irrelevant(evidence, TRANSFORMER, LSTM, RNN, GRU)
    return [*rows, about(evidence, direct, f"{VASWANI}, section 4", rule, "recall", "gap")]


def with_one_stack(evidence: Evidence, claim: Claim) -> Claim:
    """A claim with the figure of both forms of attention on an LSTM, where the second was run too."""
    task = claim.needs.task
    if BAHDANAU_ONE_STACK not in systems_of(evidence.store, task):
        return claim
    return replace(claim, figure=evidence.figure(task, "", "token_accuracy", FAMILY, BAHDANAU_ONE_STACK.model))


def parts(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """What the parts of the Transformer are for: with each against without it, on every task that was run both ways."""
    shuffled = "Without positions, “dog bites man” equals “man bites dog”"
    softmax = "1/√d keeps the softmax from saturating (random queries and keys)"
    measured = [task for task in tasks if len(rows_of(evidence.store, task, transformer_rules.SHUFFLED))]
    both_ways = [task for task in measured if without_part(evidence, task, "none")]
    rule, source = transformer_rules.shuffling(evidence), f"{VASWANI}, section 3.5"
    rows = [about(evidence, shuffled, source, rule, next(iter(both_ways), ""), group=POSITIONS)]
    for part in PARTS:
        if part.group == SCALING:
            needs = Needs(EXPERIMENT, "", "score_entropy")
            rows.append(
                Claim(
                    softmax,
                    f"{VASWANI}, section 3.2.1",
                    needs,
                    transformer_rules.saturation(evidence),
                    needs.metric,
                    repeats=0,
                )
            )
        rows += of_part(evidence, part, tasks)
    return rows


def family(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """Encoder-only, decoder-only, or both parts."""
    task, rows = "senses", []
    source, pair = "Devlin et al. 2019, section 5.1", (ENCODER_ONLY, DECODER_ONLY)
    better = "Reading in both directions answers better than reading from left to right"
    rule = rules.compared(evidence, task, "clue", pair, rules.AHEAD, AHEAD)
    rows.append(about(evidence, better, source, rule, task, "clue", group=FAMILY))
    known = "A word's state knows what follows only if both directions were read"
    rule = rules.compared(evidence, task, "clue", pair, rules.AHEAD, (), metric="sense_probe")
    rows.append(about(evidence, known, source, replace(rule, fact=True), task, "clue", "sense_probe", FAMILY))
    both = [
        each for each in tasks if each != task and {DECODER_ONLY, TRANSFORMER} <= {*systems_of(evidence.store, each)}
    ]
    for each in both or [""]:
        rule = rules.compared(evidence, each, "", (DECODER_ONLY, TRANSFORMER), within(rules.MARGIN), ALIKE)
        text = f"One stack is as good as encoder and decoder{f' ({each})' if each else ''}"
        rows.append(about(evidence, text, "Zhang et al. 2022", rule, each, group=FAMILY))
    return rows


def of_part(evidence: Evidence, part: Part, tasks: Sequence[str]) -> list[Claim]:
    found: list[tuple[str, str, System | None]] = [
        (f"{part.text} ({task}, {system.variant})", task, system)
        for task in tasks
        if not part.tasks or task in part.tasks
        for system in without_part(evidence, task, part.without)
    ]
    rows = []
    for text, task, system in found or [(part.text, "", None)]:
        rule = transformer_rules.part_matters(evidence, task, system, part.group)
        rows.append(about(evidence, text, part.source, rule, task, group=part.group))
    return rows


def contrary(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """Claims against the popular story."""
    gap = "A gap alone does not break the LSTM"
    close, tang = "RNN and Transformer are close on agreement", "Tang et al. 2018"
    copies = "No model copies far beyond its training length"
    deletang, hochreiter = "Delétang et al. 2023", "Hochreiter and Schmidhuber 1997"
    structure, tran = "The LSTM is ahead of the Transformer on logical structure", "Tran et al. 2018"
    encoders = (RECURRENT_ENCODER, ENCODER_ONLY)
    power = [*AHEAD, rules.FAR]
    ahead = rules.compared(evidence, "inference", "operators", encoders, rules.AHEAD, power, beyond=True)
    alike = rules.compared(evidence, "agreement", "distance", (TRANSFORMER, LSTM), within(rules.MARGIN), ALIKE)
    over_gap = rules.gap_is_irrelevant(evidence, LSTM, RNN, GRU)
    rows = [
        *beyond_training(evidence, tasks),
        about(evidence, copies, deletang, rules.nobody_copies_far(evidence), "copy", metric="exact_match"),
        about(evidence, gap, hochreiter, over_gap, "recall", "gap"),
        about(evidence, structure, tran, ahead, "inference", "operators"),
        about(evidence, f"{close} (templates)", tang, alike, "agreement", "distance"),
    ]
    for task in [task for task in tasks if task.startswith("contrastive-")] or [""]:
        rule, text = rules.close_in_translation(evidence, task), f"{close} ({task or 'translation'})"
        rows.append(about(evidence, text, tang, rule, task, "distance", metric="contrastive_accuracy"))
    return [replace(claim, contrary=True) for claim in rows]


def beyond_training(evidence: Evidence, tasks: Sequence[str]) -> list[Claim]:
    """A row for each position encoding, since how a Transformer reaches beyond training depends on it."""
    parity = "LSTMs generalise on parity where Transformers do not"
    fails = "Beyond the lengths of training the Transformer loses accuracy on some task"
    further = "Relative positions reach further beyond training than absolute ones"
    rows = []
    for encoding, system in (evidence.by_encoding("parity") or {"": TRANSFORMER}).items():
        rule, text = rules.parity_beyond(evidence, system), with_encoding(parity, encoding)
        rows.append(about(evidence, text, "Delétang et al. 2023", rule, "parity", group=encodings(evidence, "parity")))
    reaching = [task for task in tasks if evidence.beyond(task)]
    for encoding in dict.fromkeys(e for task in reaching for e in evidence.by_encoding(task)) or [""]:
        rule = transformer_rules.fails_beyond(evidence, encoding)
        shown = transformer_rules.beyond(evidence, encoding).worst
        text, group = with_encoding(fails, encoding), encodings(evidence, shown)
        rows.append(about(evidence, text, "Kazemnejad et al. 2023", rule, shown, group=group))
    pairs: list[tuple[str, tuple[System, ...]]]
    pairs = [(task, pair) for task in reaching for pair in evidence.encoding_pairs(task)]
    for task, pair in pairs or [("", ())]:
        names = [evidence.encoding(task, system) for system in pair]
        text = f"{further} ({' against '.join(names)}, {task})" if task else further
        rule = transformer_rules.relative_goes_further(evidence, task, pair)
        rows.append(about(evidence, text, "Neishi and Yoshinaga 2019", rule, task, group=POSITIONS))
    return rows


def encodings(evidence: Evidence, task: str) -> str:
    """The group of variants that differ by their encoding, if a task has any: then a figure shows them."""
    return POSITIONS if len(evidence.by_encoding(task)) > 1 else ""


def with_encoding(text: str, encoding: str) -> str:
    return f"{text} ({encoding} positions)" if encoding else text


def without_part(evidence: Evidence, task: str, pattern: str) -> list[System]:
    transformers = [system for system in systems_of(evidence.store, task) if system.model == "transformer"]
    return [s for s in transformers if re.fullmatch(pattern, s.variant) and not s.variant.endswith(TENFOLD)]
