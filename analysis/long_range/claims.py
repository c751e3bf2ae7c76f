"""The claims about memory, each with its source and the rule that decides it."""

import re
from dataclasses import replace
from typing import NamedTuple

from analysis.claims.evidence import LSTM, NOT_DECIDED, RNN, TRANSFORMER, Claim, Evidence, NotRun, Undecided, Verdict
from analysis.long_range import rules
from analysis.long_range.axes import rows_of, systems_of, tasks_of
from analysis.store import Store, System

POPULAR = "Commonly told, after Bengio et al. 1994"
BAHDANAU = "Bahdanau et al. 2015"
VASWANI = "Vaswani et al. 2017"

LOSES = (
    "Effect: accuracy at the smallest gap minus accuracy at the largest gap of training. "
    "Supported if its interval lies above 0.05, contradicted if below."
)
KEEPS = (
    "Effect: accuracy at the smallest gap minus accuracy at the largest gap of training. "
    "Supported if its interval lies below 0.05, contradicted if above."
)
LOSES_BEYOND = (
    "Effect: accuracy at the largest gap of training minus accuracy at the largest gap beyond it. "
    "Supported if its interval lies above 0.05, contradicted if below."
)
FADES = (
    "Effect: gradient norm at the farthest source token relative to the last one, before training. "
    "Supported if below 0.01 for every seed, contradicted if above 0.1 for every seed; measured to a distance of at "
    "least 32 tokens."
)
VECTOR = (
    "Effect: what the LSTM loses from the smallest to the largest trained value, minus what the LSTM + attention "
    "loses. Supported if its interval lies above 0.05, contradicted if below; not decided if as much training again, "
    "at the pace of its last fifth, could bring the LSTM up that far."
)
FIXES = (
    "Effect: accuracy of the LSTM + attention at the largest trained value, provided that the LSTM's interval lies "
    "below 0.9 there. Supported if its interval lies above 0.9, contradicted if below, unless as much training "
    "again, at the pace of its last fifth, could bring it there."
)
SHUFFLED = (
    "Effect: largest change of an output probability when the source is shuffled, without position encodings. "
    "Supported if below 0.001 for every seed while with positions it is above 0.01; contradicted if above 0.01 for "
    "every seed."
)
MATTERS = (
    "Effect: accuracy with it minus accuracy without it at the largest trained value. Supported if its interval lies "
    "above 0.05, contradicted if below. "
)
MAY_FAIL = MATTERS + "With it the control must be mastered; failing the control without it is what the claim says."
BOTH_MASTER = MATTERS + "Both must have mastered the control."
PARITY = (
    "Effect: the LSTM's accuracy minus the Transformer's at the largest length beyond training. Supported if its "
    "interval lies above 0.05 and the LSTM's own above 0.9; contradicted if either lies below."
)
COPIES = (
    "Effect: exact match of the best model at the largest length, at least 1.5 times the trained one. Supported if its "
    "interval lies below 0.5 and every model run has mastered its control; contradicted if it lies above 0.5."
)
CLOSE = (
    "Effect: accuracy of the Transformer minus that of the LSTM at the largest trained distance. Supported if its "
    "interval lies within ±0.05, contradicted if outside."
)
CLOSE_IN_TRANSLATION = (
    "Effect: accuracy of the Transformer minus that of the LSTM + attention over all pairs. Supported if its interval "
    "lies within ±0.05, contradicted if outside. Translation has no control. The margin was fixed after a first look "
    "at the scores of one suite."
)


SATURATES = (
    "Effect: entropy of a softmax over scores of random queries and keys at head size 64 without scaling, divided by "
    "that with it; nothing is learned, and the gradient, shown beside it, is not judged. Supported if below 0.5, "
    "contradicted if above 0.9. That the entropy falls without scaling was known when these margins were fixed."
)
SCALING = "scaling by head size"


class Part(NamedTuple):
    """A claim about a part of the Transformer: `without` matches the variants that lack it."""

    text: str
    section: str
    without: str
    group: str
    rule: str
    both_master: bool = False
    tasks: tuple[str, ...] = ()


PARTS = (
    Part(
        "Without positions, order is lost",
        f"{VASWANI}, section 3.5",
        "none",
        "position encodings",
        MAY_FAIL,
        tasks=("copy", "reverse", "recall", "selective-copy"),
    ),
    Part("1/√d matters for what is learned", f"{VASWANI}, 3.2.1", "unscaled-.*", SCALING, MAY_FAIL),
    Part("Several heads see several relations", f"{VASWANI}, 3.2.2", "heads1", "number of heads", BOTH_MASTER, True),
    Part(
        "Residual connections are a safety net",
        "He et al. 2016",
        "no-residual.*",
        "residual connections by depth",
        MAY_FAIL,
    ),
)


def all_claims(store: Store) -> list[Claim]:
    """Every claim that the long-range runs can decide; a claim about a part has a row for each task that varies it."""
    pairs = [task for task in tasks_of(store) if task.startswith("associative-recall")] or ["associative-recall"]
    return [*recurrence(pairs), *attention(pairs), *parts(store), *contrary(store)]


def verdicts(store: Store, evidence: Evidence | None = None) -> list[tuple[Claim, Verdict]]:
    evidence = evidence or Evidence(store)
    return [(claim, judged(claim, evidence)) for claim in all_claims(store)]


def judged(claim: Claim, evidence: Evidence) -> Verdict:
    try:
        return claim.judge(evidence)
    except Undecided as missing:
        return Verdict(NOT_DECIDED, str(missing), needed=missing.needed, tested=not isinstance(missing, NotRun))


def recurrence(pairs: list[str]) -> list[Claim]:
    forget = "RNNs forget: the first words fade"
    faint = "RNNs forget: the gradient of the first words fades"
    vector = "One fixed vector must hold everything: the LSTM alone fails"
    gap = rules.loses_with_gap(RNN)
    rnn, lstm = rules.gradient_fades(RNN), rules.gradient_fades(LSTM)
    return [
        Claim(f"{forget} with the gap (plain RNN)", POPULAR, LOSES, gap, "recall", "gap"),
        Claim(f"{faint} (plain RNN)", POPULAR, FADES, rnn, "recall", metric="gradient_reach"),
        Claim(f"{faint} (LSTM)", POPULAR, FADES, lstm, "recall", metric="gradient_reach"),
        Claim(f"{vector} as copies grow", BAHDANAU, VECTOR, rules.one_vector("copy"), "copy"),
        *(Claim(f"{vector} as pairs grow ({t})", "Arora et al. 2023", VECTOR, rules.one_vector(t), t) for t in pairs),
    ]


def attention(pairs: list[str]) -> list[Claim]:
    fixes = "Attention on top of the RNN fixes the accuracy"
    direct = "The Transformer relates any two positions directly, distance is irrelevant"
    return [
        Claim(f"{fixes} (copy)", BAHDANAU, FIXES, rules.attention_fixes("copy"), "copy"),
        *(Claim(f"{fixes} ({task})", BAHDANAU, FIXES, rules.attention_fixes(task), task) for task in pairs),
        Claim(direct, VASWANI, KEEPS, rules.keeps_over_gap(TRANSFORMER), "recall", "gap"),
    ]


def parts(store: Store) -> list[Claim]:
    """What the parts of the Transformer are for: with each against without it, on every task that was run both ways."""
    text = "Without positions, “dog bites man” equals “man bites dog”"
    shuffled = next(
        (task for task in tasks_of(store) if without_part(store, task, "none") and was_shuffled(store, task)), ""
    )
    claims = [Claim(text, f"{VASWANI}, section 3.5", SHUFFLED, rules.shuffling, shuffled, group="position encodings")]
    softmax = "1/√d keeps the softmax from saturating (random queries and keys)"
    for part in PARTS:
        if part.group == SCALING:
            source = f"{VASWANI}, section 3.2.1"
            claims.append(Claim(softmax, source, SATURATES, rules.saturation, "", metric="score_entropy"))
        claims += of_part(store, part)
    return claims


def of_part(store: Store, part: Part) -> list[Claim]:
    tasks = [task for task in tasks_of(store) if not part.tasks or task in part.tasks]
    found = [(task, system) for task in tasks for system in without_part(store, task, part.without)]
    if not found:
        judge = rules.not_run(f"no Transformer without it (ablation of {part.group})")
        return [Claim(part.text, part.section, part.rule, judge, "", group=part.group)]
    claims = []
    for task, system in found:
        judge = rules.part_matters(task, system, part.both_master)
        name = f"{part.text} ({task}, variant {system.variant})"
        claims.append(Claim(name, part.section, part.rule, judge, task, group=part.group))
    return claims


def contrary(store: Store) -> list[Claim]:
    """Claims against the popular story."""
    parity = "LSTMs generalise on parity where Transformers do not"
    copies = "No model copies far beyond its training length"
    gap = "A gap alone does not break the LSTM"
    beyond = "Beyond the gaps of training the Transformer fails as well"
    close = "RNN and Transformer are close on agreement"
    deletang, tallec, tang = "Delétang et al. 2023", "Tallec and Ollivier 2018", "Tang et al. 2018"
    neishi = "Neishi and Yoshinaga 2019"
    over_gap, past_training = rules.keeps_over_gap(LSTM), rules.loses_beyond(TRANSFORMER)
    rows = [
        Claim(parity, deletang, PARITY, rules.parity_beyond, "parity", contrary=True),
        Claim(copies, deletang, COPIES, rules.nobody_copies_far, "copy", metric="exact_match", contrary=True),
        Claim(gap, tallec, KEEPS, over_gap, "recall", "gap", contrary=True),
        Claim(beyond, neishi, LOSES_BEYOND, past_training, "recall", "gap", contrary=True),
        Claim(f"{close} (templates)", tang, CLOSE, rules.close_on_agreement, "agreement", "distance", contrary=True),
    ]
    translated = [task for task in tasks_of(store) if task.startswith("contrastive-")]
    for task in translated or [""]:
        judge = rules.close_in_translation(task) if task else rules.not_run("no contrastive scoring of translations")
        claim = Claim(f"{close} ({task or 'translation'})", tang, CLOSE_IN_TRANSLATION, judge, task, "distance")
        rows.append(replace(claim, metric="contrastive_accuracy", contrary=True))
    return rows


def was_shuffled(store: Store, task: str) -> bool:
    return len(rows_of(store, task, "permutation_difference")) > 0


def without_part(store: Store, task: str, pattern: str) -> list[System]:
    transformers = [system for system in systems_of(store, task) if system.model == "transformer"]
    return [system for system in transformers if re.fullmatch(pattern, system.variant)]
