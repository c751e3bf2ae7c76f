"""The claims about translation: who makes each, the measurements it needs, its rule and its figure."""

from collections.abc import Sequence

from analysis.claims.verdict import ATTENTION, BAHDANAU, LSTM, TRANSFORMER, VASWANI, Claim, Needs
from analysis.page.prose import PROSE
from analysis.store import Store
from analysis.translation import heads, rules
from analysis.translation.bleu import EXPERIMENT

READING = PROSE["claims"]


def all_claims(store: Store) -> list[Claim]:
    """Every claim on every test set that was translated, or once where none was."""
    better = (
        ("The Transformer translates better than the LSTM + attention", VASWANI, TRANSFORMER, ATTENTION),
        ("The Transformer translates better than the LSTM", VASWANI, TRANSFORMER, LSTM),
        ("Attention on top of the RNN improves its translations", BAHDANAU, ATTENTION, LSTM),
    )
    translated = sets_translated(store) or [("", "")]
    rows = [
        (text, source, rules.is_better(store, *test_set, first, second), *test_set)
        for text, source, first, second in better
        for test_set in translated
    ]
    claims = [
        Claim(
            f"{text} ({task}, {name})" if task else text,
            source,
            Needs(EXPERIMENT, task, "bleu"),
            rule,
            f"length-{task}-{name}",
        )
        for text, source, rule, task, name in rows
    ]
    return [
        *claims,
        *(on_long_sentences(store, task, sets) for task, sets in by_task(translated).items()),
        several(store),
    ]


def on_long_sentences(store: Store, task: str, test_sets: Sequence[str]) -> Claim:
    text = "One fixed vector must hold everything: the LSTM alone loses more BLEU on long sentences"
    needs, figure = Needs(EXPERIMENT, task, "bleu"), f"length-{task}-{test_sets[0]}"
    rule = rules.loses_more(store, task, test_sets)
    return Claim(f"{text} ({task})" if task else text, f"{BAHDANAU}, Figure 2", needs, rule, figure)


def by_task(translated: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {task: [name for other, name in translated if other == task] for task, _ in translated}


def sets_translated(store: Store) -> list[tuple[str, str]]:
    """Task and name of each, in the order in which they were recorded."""
    rows = store.rows(EXPERIMENT, metric="bleu")
    return list(dict.fromkeys(zip(rows["task"], rows["x"], strict=True)))


def several(store: Store) -> Claim:
    task = next(iter(store.rows(heads.EXPERIMENT)["task"]), "")
    text = "Several heads see several relations (in translation)"
    needs = Needs(heads.EXPERIMENT, task, "attention of each head")
    return Claim(text, f"{VASWANI}, 3.2.2", needs, rules.heads_apart(store, task), f"attention-heads-{task}")
